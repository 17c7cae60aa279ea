"""Entities and relations found in PathQuestion's questions, against the gold paths: precision and recall."""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from llm_lab import assets
from llm_lab.bench.report import save, show
from llm_lab.config.search_path import conf_root
from llm_lab.data.path_questions import PathQuestion, read_questions

HOPS = {"two_hops": "pathquestion_2h", "three_hops": "pathquestion_3h"}
TAGGER = "run://experiment/path_relations"


class Score(NamedTuple):
    """Right ones, those found, those there are; texts that are right as a whole, and all texts."""

    right: int
    found: int
    gold: int
    exact: int
    texts: int

    def shares(self) -> dict[str, float]:
        """Precision, recall, and the share of texts without a fault."""
        return {
            "precision": self.right / max(1, self.found),
            "recall": self.right / max(1, self.gold),
            "exact": self.exact / max(1, self.texts),
            "texts": self.texts,
        }


def as_written(question: PathQuestion, _: random.Random) -> str:
    """The question as the file has it."""
    return " ".join(question.words)


def as_people_write(question: PathQuestion, _: random.Random) -> str:
    """The name of the entity in words, with capitals."""
    name = question.entity.replace("_", " ").title()
    return " ".join(name if word == question.entity else word for word in question.words)


def misspelt(question: PathQuestion, rng: random.Random) -> str:
    """The same with two letters of the longest word of the name exchanged."""
    name = question.entity.replace("_", " ")
    longest = max(name.split(), key=len)
    at = rng.randrange(max(1, len(longest) - 1))
    wrong = longest[:at] + longest[at : at + 2][::-1] + longest[at + 2 :]
    name = name.replace(longest, wrong, 1)
    return " ".join(name if word == question.entity else word for word in question.words)


FORMS: dict[str, Callable[[PathQuestion, random.Random], str]] = {
    "as written": as_written,
    "as people write": as_people_write,
    "misspelt": misspelt,
}


def questions(hops: str) -> list[PathQuestion]:
    """The questions of the shipped data set, of two or three hops."""
    node = yaml.safe_load((conf_root() / "data" / "path_questions.yaml").read_text(encoding="utf-8"))
    path = assets.resolve(node["source"][hops], licence=node["licence"])
    return [one for one in read_questions(path) if isinstance(one, PathQuestion)]


def entity_scores(hops: str, limit: int | None, encoder: str | None) -> Iterator[tuple[str, Score]]:
    """Link the entity of each question in the question's own graph: all that is found counts."""
    from llm_lab.knowledge.construction.linker import Linker, SentenceEncoder
    from llm_lab.knowledge.graphs import open_graph

    store = open_graph(HOPS[hops])
    ranking = SentenceEncoder(source=encoder) if encoder else None
    chosen = questions(hops)
    if limit is not None:
        chosen = random.Random(0).sample(chosen, min(limit, len(chosen)))  # noqa: S311 - a sample of texts
    for form, write in FORMS.items():
        linker, rng = Linker(store=store, encoder=ranking, near=form == "misspelt"), random.Random(0)  # noqa: S311
        right = found = exact = 0
        for question in chosen:
            linked = [one.entity for one in linker.link(write(question, rng))]
            right += question.entity in linked
            found += len(linked)
            exact += linked == [question.entity]
        yield form, Score(right, found, len(chosen), exact, len(chosen))


def relation_score(hops: str, tagger: str) -> Score:
    """The relations that a tagger finds in the test questions, and whether they make the gold path."""
    from llm_lab.knowledge.construction.paths import relation_path
    from llm_lab.predictors import predictor

    folder = assets.resolve(tagger) if "://" in tagger else Path(tagger)
    by_text = {" ".join(one.words): one for one in questions(hops)}
    held = [question for text, question in by_text.items() if text in _test_texts(folder)]
    right = found = gold = exact = 0
    answered = predictor(folder).answered({"tokens": list(one.words)} for one in held)
    for question, row in zip(held, answered, strict=True):
        path = relation_path(row["tags"], question.place)
        right += (Counter(path) & Counter(question.relations)).total()
        found, gold = found + len(path), gold + len(question.relations)
        exact += path == list(question.relations)
    return Score(right, found, gold, exact, len(held))


def _test_texts(run: Path) -> set[str]:
    """The test questions of the run's own data."""
    from llm_lab.config import build
    from llm_lab.data.module import DataModule
    from llm_lab.modes.run import stored_config

    data = build(stored_config(run).data, expected=DataModule, key="data")
    data.prepare()
    return {" ".join(row["tokens"]) for row in data.rows("test")}


def main(words: Sequence[str] = ()) -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m llm_lab.bench linking", description="entities and relations"
    )
    parser.add_argument(
        "--json", type=Path, help="where to write the figures; a file in the cache without it"
    )
    parser.add_argument("--limit", type=int, help="questions per form of writing; all without it")
    parser.add_argument("--tagger", default=TAGGER, help="run that finds relations; `none` leaves them out")
    parser.add_argument("--encoder", help="asset URI of the encoder that ranks entities of one name")
    options = parser.parse_args(list(words))
    found: dict[str, dict[str, float]] = {}
    for hops in HOPS:
        for form, score in entity_scores(hops, options.limit, options.encoder):
            found[f"entity, {hops}, {form}"] = score.shares()
        if options.tagger != "none":
            found[f"relations, {hops}, test split"] = relation_score(hops, options.tagger).shares()
    keys = ("precision", "recall", "exact")
    rows = [
        [name, *(f"{one[key]:.4f}" for key in keys), f"{one['texts']:,.0f}"] for name, one in found.items()
    ]
    show("PathQuestion against its gold entities and paths", ("", *keys, "questions"), rows)
    print(f"figures: {save('linking', found, options.json)}")
