"""How rows with choices lie in a file and become batches."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from llm_lab.data.arrow import IDS, INTEGERS, TYPES, ArrowWriter, TokenTable
from llm_lab.data.choice_rows import FEWEST, Choice
from llm_lab.data.collate import encode_pairs, pad, pad_column
from llm_lab.data.table import Batch, IntArray

CHUNK = 256  # rows tokenized together
COLUMNS = {
    "text": pa.string(), "choices": pa.list_(pa.string()), "label": pa.int32(),
    IDS: INTEGERS, TYPES: INTEGERS, "lengths": INTEGERS,
}  # fmt: skip


def write_choices(path: Path, rows: Sequence[Choice], tokenizer: Any, *, max_length: int) -> int:
    """Write rows; return the tokens of the longest choice."""
    longest = 0
    with ArrowWriter(path=path, columns=COLUMNS) as writer:
        for start in range(0, len(rows), CHUNK):
            some = rows[start : start + CHUNK]
            told = [tokenized(row.text, row.choices, tokenizer, max_length=max_length) for row in some]
            lengths = [[len(ids) for ids in each] for each, _ in told]
            longest = max(longest, *(max(one) for one in lengths))
            writer.add(
                {
                    "text": [row.text for row in some],
                    "choices": [row.choices for row in some],
                    "label": [row.label for row in some],
                    IDS: [list(chain.from_iterable(ids)) for ids, _ in told],
                    TYPES: [list(chain.from_iterable(types)) for _, types in told],
                    "lengths": lengths,
                }
            )
    return longest


class ChoiceTable(TokenTable):
    """Rows whose batches are [B, C, T]; a row of fewer choices is filled up with ones that hold no token."""

    def batch(self, rows: IntArray, epoch: int) -> Batch:
        """Tokens of every choice, and ``labels`` [B]."""
        lengths = self.column("lengths", rows)
        parts = [
            [
                np.split(cell, np.cumsum(cut)[:-1])
                for cell, cut in zip(self.column(name, rows), lengths, strict=True)
            ]
            for name in (IDS, TYPES)
        ]
        return {**stack(*parts, pad_id=self.pad_id), "labels": self.numbers("label", rows)}


def stack(ids: Sequence[Sequence[Any]], types: Sequence[Sequence[Any]], *, pad_id: int) -> Batch:
    """Tokens, mask and types [B, C, T] of the choices of rows; for no rows one of two choices, as a filler."""
    empty = np.zeros(0, np.int32)
    most = max(map(len, ids), default=FEWEST)
    flat = [choice for row in ids for choice in [*row, *[empty] * (most - len(row))]]
    batch = pad(flat or [np.array([pad_id], np.int32)] * most, pad_id=pad_id)
    told = [choice for row in types for choice in [*row, *[empty] * (most - len(row))]]
    batch[TYPES] = pad_column(told, like=batch[IDS], fill=0)
    return {name: value.reshape(-1, most, value.shape[-1]) for name, value in batch.items()}


def tokenized(
    text: str, choices: Sequence[str], tokenizer: Any, *, max_length: int
) -> tuple[list[list[int]], list[list[int]]]:
    """Tokens, and their types, of the text with each choice."""
    return encode_pairs([text] * len(choices), choices, tokenizer, max_length=max_length)
