"""How rows of texts that belong together lie in a file and become batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from llm_lab.data.arrow import IDS, INTEGERS, ArrowWriter, TokenTable
from llm_lab.data.collate import pad
from llm_lab.data.pair_rows import PairRow, text_id
from llm_lab.data.table import Batch, IntArray

TEXTS = pa.list_(pa.string())
COLUMNS = {
    "anchor": pa.string(),
    "positive": TEXTS,
    "negative": TEXTS,
    IDS: INTEGERS,
    "anchor_id": pa.int64(),
    "positives": pa.int32(),
    "candidate_ids": INTEGERS,  # of all positives, then of all negatives, one after the other
    "candidate_ends": INTEGERS,
    "candidate_texts": pa.list_(pa.int64()),
}


def pair_writer(path: Path) -> ArrowWriter:
    """A file of texts, their tokens and the numbers by which equal texts are known."""
    return ArrowWriter(path=path, columns=COLUMNS)


def cells(rows: Sequence[PairRow], tokens: Iterator[list[int]]) -> dict[str, list[Any]]:
    """Rows as columns; ``tokens`` gives those of each row's anchor, positives and negatives in turn."""
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for row in rows:
        candidates = [*row.positives, *row.negatives]
        anchor = next(tokens)
        ids = [next(tokens) for _ in candidates]
        values = {
            "anchor": row.anchor,
            "positive": row.positives,
            "negative": row.negatives,
            IDS: anchor,
            "anchor_id": text_id(row.anchor),
            "positives": len(row.positives),
            "candidate_ids": list(chain.from_iterable(ids)),
            "candidate_ends": list(accumulate(map(len, ids))),
            "candidate_texts": list(map(text_id, candidates)),
        }
        for name, value in values.items():
            columns[name].append(value)
    return columns


class PairTable(TokenTable):
    """Anchors [B, T] with all their candidates [M, U]: what belongs to them and what only seems to.

    A batch has ``input_ids`` and ``attention_mask`` of the anchors, ``candidate_ids`` and ``candidate_mask``, and
    the numbers of texts: ``anchor`` [B]; ``text``, ``owner`` (its anchor) and ``positive`` [M].
    """

    def weights(self, rows: IntArray, epoch: int) -> IntArray:
        """Pairs of each row."""
        return np.array(self.column("positives", rows), np.int64)

    def batch(self, rows: IntArray, epoch: int) -> Batch:
        """Tokens and numbers of texts."""
        tokens = [
            part
            for ids, ends in zip(
                self.column("candidate_ids", rows), self.column("candidate_ends", rows), strict=True
            )
            for part in np.split(ids, ends[:-1])
        ]
        candidates = pad(tokens, pad_id=self.pad_id)
        texts = self.column("candidate_texts", rows)
        counts = torch.tensor([len(one) for one in texts], dtype=torch.int64)
        positives = self.numbers("positives", rows)
        anchor = self.numbers("anchor_id", rows)
        places = torch.arange(int(counts.sum())) - (counts.cumsum(0) - counts).repeat_interleave(counts)
        return {
            **super().batch(rows, epoch),
            "candidate_ids": candidates["input_ids"],
            "candidate_mask": candidates["attention_mask"],
            "anchor": anchor,
            "text": torch.from_numpy(np.concatenate([np.empty(0, np.int64), *texts])),
            "owner": anchor.repeat_interleave(counts),
            "positive": places < positives.repeat_interleave(counts),
        }

    def named(self) -> Iterator[dict[str, Any]]:
        """Yield ``anchor``, ``positive`` and ``negative`` (lists of texts) of each row."""
        for anchor, positive, negative in self.stream("anchor", "positive", "negative"):
            yield {"anchor": anchor, "positive": positive, "negative": negative}
