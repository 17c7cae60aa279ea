"""Read questions with the path that answers them (PathQuestion, Zhou et al. 2018), tagged with its relations.

The files say which relations a question asks for, and not with which words. The words are found as in statistical
translation: IBM model 1 (Brown et al. 1993) between the words of a question and its relations.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from llm_lab.data.record import Record, Rejected
from llm_lab.data.source import Source
from llm_lab.data.tags import OUTSIDE
from llm_lab.data.text_files import open_text

FIELDS = 3
ROUNDS = 15  # of expectation maximization
NOTHING = ""  # the relation of words that speak of none
END = "<end>"
Table = dict[tuple[str, str], float]
"""(word, relation) -> the share of the relation's words."""


@dataclass(frozen=True, kw_only=True)
class PathQuestion:
    """A question: its words, the word that names its entity, the steps of the path, its answer, all right answers."""

    line: int
    words: tuple[str, ...]
    entity: str
    relations: tuple[str, ...]
    answer: str
    answers: tuple[str, ...] = ()

    @property
    def place(self) -> int:
        """Number of the word that names the entity; -1 where none does."""
        return self.words.index(self.entity) if self.entity in self.words else -1


def read_questions(path: Path, *, encoding: str = "utf-8") -> Iterator[PathQuestion | Rejected]:
    """Yield the questions of a file: ``question TAB answer TAB entity#relation#entity#...``."""
    with open_text(path, encoding=encoding, newline="\n") as stream:
        for number, line in enumerate(stream, start=1):
            fields = line.rstrip("\r\n").split("\t")
            steps = fields[-1].partition(f"#{END}")[0].split("#")
            if len(fields) != FIELDS or len(steps) < FIELDS or len(steps) % 2 == 0:
                yield Rejected(path.name, number, "no question, answer and path", line.strip())
                continue
            yield PathQuestion(
                line=number,
                words=tuple(fields[0].split()),
                entity=steps[0],
                relations=tuple(steps[1::2]),
                answer=steps[-1],
                answers=_listed(fields[1], steps[-1]),
            )


def _listed(field: str, answer: str) -> tuple[str, ...]:
    """The right answers of ``answer(one/two/)``."""
    inside = field.strip().removeprefix(f"{answer}(").removesuffix(")")
    found = [name for name in inside.split("/") if name] if inside != field.strip() else []
    return tuple(dict.fromkeys([answer, *found]))


def read_path_questions(path: Path, source: Source) -> Iterator[Record | Rejected]:
    """Yield a row per question: ``tokens``, and ``tags`` of the words that speak of a relation."""
    found = list(read_questions(path, encoding=source.encoding))
    questions = [one for one in found if isinstance(one, PathQuestion)]
    table = learn(questions)
    for one in found:
        if isinstance(one, Rejected):
            yield one
        else:
            values = {"tokens": list(one.words), "tags": tags(one, table)}
            yield Record(path.name, one.line, values)


def learn(questions: Sequence[PathQuestion]) -> Table:
    """Shares of words by relation, those of no relation among them, by expectation maximization."""
    pairs = [
        ([word for word in one.words if word != one.entity], (NOTHING, *one.relations)) for one in questions
    ]
    table: Table = defaultdict(lambda: 1.0)
    for _ in range(ROUNDS):
        counts: Table = defaultdict(float)
        totals: dict[str, float] = defaultdict(float)
        for words, relations in pairs:
            for word in words:
                whole = sum(table[word, relation] for relation in relations)
                for relation in relations:
                    share = table[word, relation] / whole
                    counts[word, relation] += share
                    totals[relation] += share
        table = defaultdict(float, {key: count / totals[key[1]] for key, count in counts.items()})
    return table


def tags(question: PathQuestion, table: Table) -> list[str]:
    """BIO tags: runs of words that speak of a relation of the question, as many as it stands in the path."""
    kinds = [_kind(word, question, table) for word in question.words]
    found, wanted = [OUTSIDE] * len(kinds), Counter(question.relations)
    for place in range(1, len(kinds) - 1):
        kind = kinds[place - 1]
        many = sum(run[0] == kind for run in _runs(kinds)) > wanted[kind]
        if (
            many
            and not kinds[place]
            and kind == kinds[place + 1]
            and question.words[place] != question.entity
        ):
            kinds[place] = kind  # the `of` in `place of birth`, not in `parents of parents`
    for kind, first, last in sorted(_runs(kinds), key=lambda run: -_clearness(run, question, table)):
        if wanted[kind]:
            wanted[kind] -= 1
            found[first : last + 1] = [f"B-{kind}", *[f"I-{kind}"] * (last - first)]
    return found


def _kind(word: str, question: PathQuestion, table: Table) -> str:
    if word == question.entity:
        return NOTHING
    return max((NOTHING, *question.relations), key=lambda kind: table.get((word, kind), 0.0))


def _runs(kinds: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Kind, first and last word of each run of words of one kind."""
    place = 0
    for kind, group in groupby(kinds):
        length = len(list(group))
        if kind:
            yield kind, place, place + length - 1
        place += length


def _clearness(run: tuple[str, int, int], question: PathQuestion, table: Table) -> float:
    """How clearly the clearest word of a run speaks of its relation and not of nothing, from 0 to 1."""
    kind, first, last = run
    shares = [
        (table.get((word, kind), 0.0), table.get((word, NOTHING), 0.0))
        for word in question.words[first : last + 1]
    ]
    return max(own / (own + other) if own else 0.0 for own, other in shares)
