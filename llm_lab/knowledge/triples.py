"""A graph as numbers: entities and relations in the order of their ids, and the triples of each split."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from llm_lab.errors import DataError

Ids = npt.NDArray[np.int32]
SPLITS = ("train", "val", "test")
NEGATIVES = "_negatives"  # of a split: triples that are known to be false
ENTITIES, RELATIONS, LABELS = "entities.txt", "relations.txt", "labels.json"
DESCRIPTIONS = "descriptions.json"
Texts = Mapping[str, Mapping[str, str]]
"""Language, `""` for none -> identifier -> text."""


@dataclass(frozen=True, kw_only=True)
class Triples:
    """The triples of a graph, by split.

    Attributes:
        entities: identifiers, in the order of their ids.
        relations: likewise.
        splits: int32 [N, 3] (head, relation, tail) by split.
        negatives: the same of triples that are known to be false, for the splits that have such.
        labels: of entities and relations, in every language that there is.
        descriptions: sentences about them, likewise.
    """

    entities: tuple[str, ...]
    relations: tuple[str, ...]
    splits: Mapping[str, Ids]
    negatives: Mapping[str, Ids] = field(default_factory=dict)
    labels: Texts = field(default_factory=dict)
    descriptions: Texts = field(default_factory=dict)

    @cached_property
    def entity_ids(self) -> Mapping[str, int]:
        """Identifier -> id."""
        return {name: number for number, name in enumerate(self.entities)}

    @cached_property
    def relation_ids(self) -> Mapping[str, int]:
        """Identifier -> id."""
        return {name: number for number, name in enumerate(self.relations)}

    @property
    def everything(self) -> Ids:
        """The triples of all splits, [N, 3]."""
        return np.concatenate([np.empty((0, 3), np.int32), *self.splits.values()])

    def label(self, name: str, language: str = "en") -> str:
        """The label of an entity or a relation, see `in_language`; the identifier where there is none."""
        return in_language(self.labels, name, language) or name

    def description(self, name: str, language: str = "en") -> str:
        """What is said about an entity, see `in_language`; empty where nothing is."""
        return in_language(self.descriptions, name, language)

    def unseen(self, split: str) -> Ids:
        """Ids of the entities of a split that stand in no training triple, sorted."""
        train = self.splits["train"][:, [0, 2]]
        return np.setdiff1d(self.splits[split][:, [0, 2]], train).astype(np.int32)

    def unseen_relations(self, split: str) -> Ids:
        """Ids of the relations of a split that no training triple has, sorted."""
        return np.setdiff1d(self.splits[split][:, 1], self.splits["train"][:, 1]).astype(np.int32)

    def unseen_counts(self, split: str) -> dict[str, int]:
        """How many entities and relations of a split no training triple shows, and how many triples have such."""
        entities, relations, ids = self.unseen(split), self.unseen_relations(split), self.splits[split]
        about = np.isin(ids[:, [0, 2]], entities).any(axis=1) | np.isin(ids[:, 1], relations)
        return {"entities": len(entities), "relations": len(relations), "triples": int(about.sum())}


def in_language(texts: Texts, name: str, language: str) -> str:
    """The text in a language, else the English one, else one in no language, else in any; empty where there is none."""
    for one in (language, "en", "", *texts):
        if text := texts.get(one, {}).get(name):
            return text
    return ""


def write_triples(folder: Path, triples: Triples) -> None:
    """Write ``entities.txt``, ``relations.txt``, ``{train,val,test}.npy``, ``labels.json`` and ``descriptions.json``.

    Raises:
        DataError: an identifier has a line break in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for file, names in ((ENTITIES, triples.entities), (RELATIONS, triples.relations)):
        write_names(folder / file, names)
    for split, ids in triples.splits.items():
        np.save(folder / f"{split}.npy", np.ascontiguousarray(ids, np.int32))
    for split, ids in triples.negatives.items():
        np.save(folder / f"{split}{NEGATIVES}.npy", np.ascontiguousarray(ids, np.int32))
    for file, texts in ((LABELS, triples.labels), (DESCRIPTIONS, triples.descriptions)):
        if texts:
            (folder / file).write_text(json.dumps(texts, ensure_ascii=False), encoding="utf-8")


def read_triples(folder: Path) -> Triples:
    """The triples of a folder, memory-mapped.

    Raises:
        DataError: the folder holds none.
    """
    if not (folder / ENTITIES).is_file():
        raise DataError(f"{folder} holds no triples: there is no {ENTITIES}")
    files = {path.stem: path for path in sorted(folder.glob("*.npy"))}
    labels, descriptions = (_texts(folder / file) for file in (LABELS, DESCRIPTIONS))
    return Triples(
        entities=read_names(folder / ENTITIES),
        relations=read_names(folder / RELATIONS),
        splits={split: _mapped(files[split]) for split in SPLITS if split in files},
        negatives={
            split: _mapped(files[split + NEGATIVES]) for split in SPLITS if split + NEGATIVES in files
        },
        labels=labels,
        descriptions=descriptions,
    )


def _texts(file: Path) -> Texts:
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}


def write_names(file: Path, names: Sequence[str]) -> None:
    """Write names, one a line."""
    if broken := next((name for name in names if "\n" in name or "\r" in name), None):
        raise DataError(f"{file.name}: the identifier {broken!r} has a line break in it")
    file.write_text("".join(f"{name}\n" for name in names), encoding="utf-8", newline="\n")


def read_names(file: Path) -> tuple[str, ...]:
    """Names, one a line."""
    with file.open(encoding="utf-8", newline="\n") as stream:
        return tuple(line.removesuffix("\n") for line in stream)


def _mapped(file: Path) -> Ids:
    ids: Ids = np.load(file, mmap_mode="r", allow_pickle=False)
    return ids
