"""Sentences with a tag per word: how they lie in a file and become batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from llm_lab.data.alignment import IGNORED, Aligned
from llm_lab.data.annotations import BESIDE
from llm_lab.data.arrow import IDS, INTEGERS, ArrowWriter, TokenTable
from llm_lab.data.collate import pad, pad_column
from llm_lab.data.spec import DataSpec
from llm_lab.data.table import Batch, IntArray

ALIGNED = (IDS, "word", "windows")  # of an `Aligned`, as its fields are called
COLUMNS = {"tokens": pa.list_(pa.string()), "tags": INTEGERS, **dict.fromkeys(ALIGNED, INTEGERS)}


def tag_writer(path: Path, *, beside: Sequence[str] = ()) -> ArrowWriter:
    """A file of words, tags and tokens, and of further numbers, one per token."""
    return ArrowWriter(path=path, columns=COLUMNS | dict.fromkeys(beside, INTEGERS))


def aligned_columns(rows: Sequence[Aligned], *, beside: Sequence[str] = ()) -> dict[str, list[list[int]]]:
    """Sentences in tokens by column."""
    return {name: [getattr(row, name) for row in rows] for name in (*ALIGNED, *beside)}


def tag_batch(
    rows: Sequence[Aligned], tags: Sequence[Sequence[int]], *, pad_id: int, beside: Sequence[str] = ()
) -> Batch:
    """Windows of the rows, one behind the other.

    ``input_ids``, ``attention_mask`` and ``labels`` [W, T]; a label stands at the first piece of a word, in the one
    window where the word is told: read in order, the labels that are not -100 are those of the words of the first
    sentence, of the second, and so on, ``words`` [B] of each. Columns ``beside`` the tokens are [W, T] too.
    """
    cuts = [np.cumsum(row.windows)[:-1] for row in rows]
    ids = [part for row, cut in zip(rows, cuts, strict=True) for part in _cut(row.input_ids, cut)]
    batch = pad(ids, pad_id=pad_id)
    labels = []
    for row, told, cut in zip(rows, tags, cuts, strict=True):
        word = np.asarray(row.word)
        labels += _cut(np.where(word == IGNORED, IGNORED, np.asarray(told)[word.clip(0)]), cut)
    batch["labels"] = pad_column(labels, like=batch[IDS], fill=IGNORED)
    for name in beside:
        cells = zip(rows, cuts, strict=True)
        parts = [part for row, cut in cells for part in _cut(getattr(row, name), cut)]
        batch[name] = pad_column(parts, like=batch[IDS], fill=0)
    batch["words"] = torch.tensor([len(told) for told in tags], dtype=torch.int64)
    return batch


def _cut(values: Any, cuts: Any) -> list[Any]:
    return np.split(np.asarray(values, np.int32), cuts)


class TagTable(TokenTable):
    """Rows that are sentences, whole however long they are; see `tag_batch`.

    Args:
        path: the file.
        spec: what the tags are.
    """

    def __init__(self, *, path: Path, spec: DataSpec) -> None:
        super().__init__(path=path, pad_id=int(spec.summary["pad_id"]))
        self.spec = spec

    def weights(self, rows: IntArray, epoch: int) -> IntArray:
        """Words of each row."""
        return self.counts("tags", rows)

    def batch(self, rows: IntArray, epoch: int) -> Batch:
        """Tokens and labels."""
        beside = [name for name in BESIDE if name in self.names]
        names = (*ALIGNED, *beside)
        columns = (self.column(name, rows) for name in names)
        aligned = [Aligned(**dict(zip(names, cells, strict=True))) for cells in zip(*columns, strict=True)]
        return tag_batch(aligned, self.column("tags", rows), pad_id=self.pad_id, beside=beside)

    def named(self) -> Iterator[dict[str, Any]]:
        """Yield ``tokens`` and ``tags`` of each row."""
        for tokens, tags in self.stream("tokens", "tags"):
            yield {"tokens": tokens, "tags": [self.spec.labels[tag] for tag in tags]}
