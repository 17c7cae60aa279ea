"""What a graph holds, in figures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from llm_lab.knowledge.fact import Value
from llm_lab.knowledge.ids import ids
from llm_lab.knowledge.names import LABEL, TYPE
from llm_lab.knowledge.store import Store
from llm_lab.knowledge.triples import Ids, Triples

MANY = 1.5  # tails a head, or heads a tail, from which a side counts as several (Bordes et al. 2013)


@dataclass(frozen=True, kw_only=True)
class RelationFigures:
    """One relation between entities: its triples, different heads and tails, ``1-1``, ``1-n``, ``n-1`` or ``n-n``."""

    relation: str
    triples: int
    heads: int
    tails: int
    kind: str


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Figures of a graph.

    Attributes:
        facts: all facts, literals included, by split.
        links: triples of two entities, by split.
        entities: that stand in a link.
        relations: between entities, over all splits, the largest first.
        types: class -> entities of it.
        literals: (relation, type of the literal) -> facts.
        languages: of labels -> labels.
        degree: links of an entity: median and most.
    """

    facts: dict[str, int]
    links: dict[str, int]
    entities: int
    relations: tuple[RelationFigures, ...]
    types: Counter[str]
    literals: Counter[tuple[str, str]]
    languages: Counter[str]
    degree: tuple[float, int]


def statistics(store: Store) -> Statistics:
    """Count what a graph holds."""
    facts: Counter[str] = Counter()
    types: Counter[str] = Counter()
    literals: Counter[tuple[str, str]] = Counter()
    languages: Counter[str] = Counter()
    for fact in store.facts():
        facts[fact.split] += 1
        if isinstance(fact.tail, Value):
            literals[fact.relation, fact.tail.datatype] += 1
            if fact.relation == LABEL:
                languages[fact.tail.language or "none"] += 1
        elif fact.relation == TYPE:
            types[fact.tail] += 1
    triples = ids(store)
    every = triples.everything
    degrees = np.bincount(every[:, [0, 2]].ravel(), minlength=len(triples.entities))
    return Statistics(
        facts=dict(facts),
        links={split: len(part) for split, part in triples.splits.items()},
        entities=len(triples.entities),
        relations=relation_figures(triples),
        types=types,
        literals=literals,
        languages=languages,
        degree=(float(np.median(degrees)), int(degrees.max())) if len(degrees) else (0.0, 0),
    )


def relation_figures(triples: Triples) -> tuple[RelationFigures, ...]:
    """Figures of each relation over all splits, the largest first."""
    every = triples.everything
    found = [_figures(name, every[every[:, 1] == number]) for number, name in enumerate(triples.relations)]
    return tuple(sorted(found, key=lambda one: (-one.triples, one.relation)))


def _figures(relation: str, part: Ids) -> RelationFigures:
    heads, tails = len(np.unique(part[:, 0])), len(np.unique(part[:, 2]))
    left = "n" if len(part) / max(tails, 1) > MANY else "1"
    right = "n" if len(part) / max(heads, 1) > MANY else "1"
    return RelationFigures(
        relation=relation, triples=len(part), heads=heads, tails=tails, kind=f"{left}-{right}"
    )
