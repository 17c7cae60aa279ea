"""A small graph of families, of which rules and embeddings can learn something."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from llm_lab.data.spec import DataSpec
from llm_lab.knowledge.triples import Triples, write_triples

RELATIONS = ("parent_of", "child_of", "lives_in")


def families(count: int = 12) -> list[tuple[str, str, str]]:
    """Every family has two children; children live where their parents do."""
    found = []
    for number in range(count):
        parent, town = f"parent {number}", f"town {number % 3}"
        found.append((parent, "lives_in", town))
        for child in (f"child {number}a", f"child {number}b"):
            found += [(parent, "parent_of", child), (child, "child_of", parent), (child, "lives_in", town)]
    return found


def toy_triples(count: int = 12) -> Triples:
    rows = families(count)
    entities = tuple(dict.fromkeys(name for head, _, tail in rows for name in (head, tail)))
    ids = {name: number for number, name in enumerate(entities)}
    kinds = {name: number for number, name in enumerate(RELATIONS)}
    table = np.array([(ids[h], kinds[r], ids[t]) for h, r, t in rows], np.int32)
    held_out = np.arange(len(table)) % 7 == 3
    return Triples(
        entities=entities,
        relations=RELATIONS,
        splits={"train": table[~held_out], "val": table[held_out][::2], "test": table[held_out][1::2]},
        labels={"en": {"parent_of": "is a parent of"}, "zh": {"parent_of": "父母"}},
    )


def toy_spec(folder: Path, triples: Triples | None = None) -> DataSpec:
    """The spec of triples that were written into a folder."""
    triples = triples or toy_triples()
    write_triples(folder, triples)
    return DataSpec(
        problem="triples",
        labels=(),
        sizes={split: len(ids) for split, ids in triples.splits.items()},
        tokenizer=folder / "tokenizer",
        max_length=3,
        fingerprint="toy",
        folder=folder,
        summary={"entities": len(triples.entities), "relations": len(triples.relations)},
    )


def write_tables(folder: Path, count: int = 12) -> dict[str, str]:
    """The toy as tables; returns the words of a run on them."""
    triples = toy_triples(count)
    for split, ids in triples.splits.items():
        lines = [
            f"{triples.entities[h]}\t{triples.relations[r]}\t{triples.entities[t]}\n" for h, r, t in ids.tolist()
        ]
        (folder / f"{split}.tsv").write_text("".join(lines))
    return {split: f"file://{folder}/{split}.tsv" for split in triples.splits}
