"""What is known about parts of a text and stands beside it: numbers at their tokens, words woven in behind them.

An annotation changes no text: what a user reads, what baselines learn from and where answers stand stays as it is.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from llm_lab.data.transforms import Row, Transform
from llm_lab.errors import ConfigError

ENTITIES, BRANCHES = "entity_ids", "branches"
BESIDE = (ENTITIES, BRANCHES)
"""Columns of numbers that may stand beside the tokens of a batch, for whoever takes them out again in the model."""
FIELDS = ("text", "pair", "question", "context")
FACTS = 256  # numbers of branches per part of a text
Place = tuple[str, int, int]
"""Field, first letter, letter behind the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """A part of a text and what is known about it.

    Attributes:
        field: which text of the row.
        start: first letter.
        end: letter behind the last.
        entity: number of what it names, from 1; 0 for nothing that has a number.
        facts: texts to be read behind it.
    """

    field: str
    start: int
    end: int
    entity: int = 0
    facts: tuple[str, ...] = ()


class Annotator(Transform):
    """A transform that leaves the texts of a row alone and adds to its ``annotations``; the last one of its row.

    Attributes:
        columns: those of `BESIDE` that its annotations fill.
        tokens: how many its facts may take of what the model gets at once.
    """

    columns: ClassVar[tuple[str, ...]] = ()
    tokens: int = 0

    @abstractmethod
    def annotate(self, name: str, text: str) -> Iterable[Annotation]:
        """The annotations of the text of this name."""

    def __call__(self, row: Row, rng: np.random.Generator) -> Row:
        """Return the row with more annotations."""
        found = [one for name in FIELDS if row.get(name) for one in self.annotate(name, row[name])]
        return {**row, "annotations": [*row.get("annotations", ()), *found]}

    def save(self, folder: Path) -> None:
        """Write what it knows, so that it can do its work without its sources."""

    def load(self, folder: Path) -> None:
        """Take over what `save` wrote."""


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What the annotators among some transforms put beside the tokens.

    Attributes:
        columns: of numbers.
        tokens: of facts, at most.
        there: whether there is any annotator.
    """

    columns: tuple[str, ...] = ()
    tokens: int = 0
    there: bool = False

    @classmethod
    def of(cls, transforms: Mapping[str, Transform]) -> Beside:
        """Of these transforms.

        Raises:
            ConfigError: one that may change texts comes behind one that says where something stands in them.
        """
        seen = ""
        for name, one in transforms.items():
            if isinstance(one, Annotator):
                seen = name
            elif seen:
                raise ConfigError(
                    f"data.transforms.{name}: changes texts in which `{seen}` has found places; give it a lower `order`"
                )
        found = [one for one in transforms.values() if isinstance(one, Annotator)]
        columns = tuple(name for name in BESIDE if any(name in one.columns for one in found))
        return cls(columns=columns, tokens=sum(one.tokens for one in found), there=bool(found))


def annotators_alone(transforms: Mapping[str, Transform], what: str) -> Beside:
    """What stands beside the tokens where texts may not change.

    Raises:
        ConfigError: a transform changes texts; ``what`` says why they have to stay.
    """
    for name, one in transforms.items():
        if not isinstance(one, Annotator):
            raise ConfigError(f"data.transforms.{name}: {type(one).__name__} changes texts, and {what}")
    return Beside.of(transforms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Woven:
    """A sequence with facts in it.

    Attributes:
        ids: of the sequence, and tokens of the facts.
        origin: place of each element in the sequence as it was; of a fact that of the element it stands behind.
        entities: number of the entity at each element, 0 for none.
        branches: 0 for elements that stand for themselves, -(m * `FACTS`) for those of the m-th part of the text that
            has facts, m * `FACTS` + f for its f-th fact.
    """

    ids: list[int] = field(default_factory=list)
    origin: list[int] = field(default_factory=list)
    entities: list[int] = field(default_factory=list)
    branches: list[int] = field(default_factory=list)

    def add(self, token: int, origin: int, entity: int, branch: int) -> None:
        """Append an element."""
        for column, value in zip(
            (self.ids, self.origin, self.entities, self.branches),
            (token, origin, entity, branch),
            strict=True,
        ):
            column.append(value)

    def column(self, name: str) -> list[int]:
        """One of `BESIDE`."""
        return self.entities if name == ENTITIES else self.branches


def weave(
    ids: Sequence[int],
    places: Sequence[Place | None],
    annotations: Sequence[Annotation],
    *,
    pieces: Callable[[str], Sequence[int]],
    tokens: int,
) -> Woven:
    """Put facts behind the parts that they are about, from left to right as long as there is room.

    Args:
        ids: of a sequence.
        places: where each of them stands in the texts; None for what stands in none.
        annotations: of the texts.
        pieces: tokens of a fact.
        tokens: room for facts.
    """
    entities, branches = [0] * len(ids), [0] * len(ids)
    behind: dict[int, list[tuple[int, int]]] = {}
    part = 0
    for one in annotations:
        covered = [n for n, place in enumerate(places) if place is not None and _touch(place, one)]
        if not covered:
            continue
        taken = any(branches[n] for n in covered)  # of two annotations that overlap the first has its facts
        told: list[tuple[int, int]] = []
        for number, fact in enumerate(() if taken else one.facts[: FACTS - 1], start=1):
            found = pieces(fact)
            if len(found) <= tokens:
                tokens -= len(found)
                told += [(token, (part + 1) * FACTS + number) for token in found]
        part += bool(told)
        for n in covered:
            entities[n] = entities[n] or one.entity
            branches[n] = -part * FACTS if told else branches[n]
        behind.setdefault(covered[-1], []).extend(told)
    woven = Woven()
    for n, token in enumerate(ids):
        woven.add(token, n, entities[n], branches[n])
        for piece, branch in behind.get(n, ()):
            woven.add(piece, n, 0, branch)
    return woven


def _touch(place: Place, one: Annotation) -> bool:
    name, start, end = place
    return name == one.field and start < one.end and end > one.start and start < end
