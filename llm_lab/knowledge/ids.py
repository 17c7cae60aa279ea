"""A stored graph as arrays of ids, memory-mapped for training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from llm_lab.data.source import SPLITS
from llm_lab.knowledge.fact import Fact
from llm_lab.knowledge.names import DESCRIBING, LABEL, SCHEMA
from llm_lab.knowledge.store import Store
from llm_lab.knowledge.triples import Ids, Triples, read_triples, write_triples

VOCABULARY = ("rdf:", "rdfs:", "owl:", "xsd:", "skos:", "meta:")


def links(store: Store, split: str | None = None) -> Iterator[Fact]:
    """Yield the facts that link two entities: no literals, nothing that says what relations and classes are."""
    for fact in store.facts(split=split):
        if (
            isinstance(fact.tail, str)
            and fact.relation not in SCHEMA
            and not fact.tail.startswith(VOCABULARY)
        ):
            yield fact


def ids(store: Store, folder: Path | None = None) -> Triples:
    """The links of a store as arrays, names numbered in the order of the alphabet.

    Args:
        store: the graph.
        folder: where to write them; what is given back is then memory-mapped.
    """
    entities: dict[str, int] = {}
    relations: dict[str, int] = {}
    splits = {split: _first_ids(store, split, entities, relations) for split in SPLITS}
    ordered_entities, to_entity = _ordered(entities)
    ordered_relations, to_relation = _ordered(relations)
    triples = Triples(
        entities=ordered_entities,
        relations=ordered_relations,
        splits={
            split: np.stack([to_entity[part[:, 0]], to_relation[part[:, 1]], to_entity[part[:, 2]]], axis=1)
            for split, part in splits.items()
            if len(part)
        },
        labels=store.texts(LABEL),
        descriptions=store.texts(*DESCRIBING),
    )
    if folder is None:
        return triples
    for stale in folder.glob("*.npy"):
        stale.unlink()
    write_triples(folder, triples)
    return read_triples(folder)


def _first_ids(store: Store, split: str, entities: dict[str, int], relations: dict[str, int]) -> Ids:
    """Triples [N, 3] of a split, names numbered as they come."""
    flat = np.fromiter(_numbers(store, split, entities, relations), np.int32)
    return flat.reshape(-1, 3)


def _numbers(store: Store, split: str, entities: dict[str, int], relations: dict[str, int]) -> Iterator[int]:
    for fact in links(store, split):
        yield entities.setdefault(fact.head, len(entities))
        yield relations.setdefault(fact.relation, len(relations))
        yield entities.setdefault(str(fact.tail), len(entities))


def _ordered(numbers: dict[str, int]) -> tuple[tuple[str, ...], np.ndarray]:
    """The names in order, and the place of each first number in it."""
    names = sorted(numbers)
    places = np.empty(len(names), np.int32)
    places[[numbers[name] for name in names]] = np.arange(len(names), dtype=np.int32)
    return tuple(names), places
