"""Questions over a graph: their entities and relations as ids, and what goes into a split together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from llm_lab.config.nearest import did_you_mean
from llm_lab.data.path_questions import PathQuestion
from llm_lab.data.record import Rejected
from llm_lab.data.shares import left_open, split_of
from llm_lab.data.source import SPLITS
from llm_lab.data.staging import folded, key_of
from llm_lab.knowledge.construction.topic import TopicFinder
from llm_lab.knowledge.triples import Triples

Division = Literal["random", "path_disjoint"]


class Asked(NamedTuple):
    """A question: its text, the places of its topic's name, and ids of the graph.

    Attributes:
        text: as it is asked.
        start: first letter of the topic's name.
        end: letter behind its last.
        topic: the entity that was linked.
        relations: those of the gold path, from the topic on.
        chain: first and last entity of the gold path.
        answers: all right ones.
        split: that its source names; None where it is to be divided.
    """

    text: str
    start: int
    end: int
    topic: int
    relations: tuple[int, ...]
    chain: tuple[int, int]
    answers: tuple[int, ...]
    split: str | None = None

    @property
    def path(self) -> tuple[int, ...]:
        """What answers the question: the gold topic and the relations from there."""
        return (self.chain[0], *self.relations)


def linked(question: PathQuestion, file: str, triples: Triples, finder: TopicFinder) -> Asked | Rejected:
    """A question with its names as ids, or why it cannot be used: its line, the name that the graph lacks."""
    text = " ".join(question.words)
    entities, relations = triples.entity_ids, triples.relation_ids
    asked = (
        (entities, "entity", (question.entity, *question.answers)),
        (relations, "relation", question.relations),
    )
    for known, kind, names in asked:
        if lacking := [name for name in names if name not in known]:
            detail = f"{lacking[0]}; {did_you_mean(lacking[0], known)}"
            return Rejected(file, question.line, f"{kind} not in the graph", detail)
    topic = finder.find(text)
    if topic is None:
        return Rejected(file, question.line, "no entity of the graph in the question", text)
    return Asked(
        text=text,
        start=topic.start,
        end=topic.end,
        topic=topic.entity,
        relations=tuple(relations[name] for name in question.relations),
        chain=(entities[question.entity], entities[question.answer]),
        answers=tuple(entities[name] for name in question.answers),
    )


def place(asked: Iterable[Asked], division: Division, shares: Mapping[str, float]) -> dict[str, list[Asked]]:
    """Questions by split; equal ones are kept once, and a later split keeps what an earlier one has too."""
    asked = list(asked)
    shares = left_open(shares, {one.split for one in asked})
    found: dict[str, dict[str, Asked]] = {split: {} for split in SPLITS}
    for one in asked:
        told = one.split in {"val", "test"}
        text = folded(one.text)
        key = text if division == "random" else " ".join(map(str, one.path))
        found[str(one.split) if told else split_of(key_of(key), shares)][text] = one
    later = {"train": ("val", "test"), "val": ("test",), "test": ()}
    kept = {
        split: [one for text, one in rows.items() if not any(text in found[other] for other in later[split])]
        for split, rows in found.items()
    }
    return {split: rows for split, rows in kept.items() if rows}


def overlap(splits: Mapping[str, Sequence[Asked]]) -> dict[str, Any]:
    """Shares of the later splits' questions whose path, and whose relations, answer a question of training too."""
    paths = {one.path for one in splits["train"]}
    relations = {one.relations for one in splits["train"]}
    found: dict[str, Any] = {}
    for split in ("val", "test"):
        if rows := splits.get(split):
            found[f"paths_in_training_{split}"] = sum(one.path in paths for one in rows) / len(rows)
            seen = sum(one.relations in relations for one in rows) / len(rows)
            found[f"relations_in_training_{split}"] = seen
    return found
