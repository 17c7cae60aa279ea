"""Put rows of different lengths into one tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from llm_lab.data.table import Batch


def pad(sequences: Sequence[npt.NDArray[np.int32]], *, pad_id: int) -> Batch:
    """Return ``input_ids`` and ``attention_mask``, int64 [B, T]; T is the longest row.

    Models do not take empty batches: for no sequences there is one row of one token, as a filler.
    """
    sequences = sequences or [np.array([pad_id], np.int32)]
    longest = max(map(len, sequences))
    ids = np.full((len(sequences), longest), pad_id, np.int64)
    mask = np.zeros((len(sequences), longest), np.int64)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = 1
    return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}


def pad_column(cells: Sequence[npt.NDArray[Any]], *, like: torch.Tensor, fill: int) -> torch.Tensor:
    """Numbers that stand beside the tokens, one each, as int64 of the shape of ``like`` [B, T]."""
    values = np.full(tuple(like.shape), fill, np.int64)
    for row, cell in enumerate(cells):
        values[row, : len(cell)] = cell
    return torch.from_numpy(values)


def encode(texts: Sequence[str], tokenizer: Any, *, max_length: int) -> list[list[int]]:
    """Return the token numbers of each text, special tokens included, cut to ``max_length``."""
    encoded = tokenizer(
        list(texts),
        truncation=True,
        max_length=max_length,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )
    return list(encoded["input_ids"])


def encode_pairs(
    texts: Sequence[str], pairs: Sequence[str], tokenizer: Any, *, max_length: int
) -> tuple[list[list[int]], list[list[int]]]:
    """Return the token numbers of each text with its pair, cut where they are longest, and 0 or 1 for each token."""
    encoded = tokenizer(
        list(texts),
        list(pairs),
        truncation=True,
        max_length=max_length,
        return_attention_mask=False,
        return_token_type_ids=True,
        verbose=False,
    )
    return list(encoded["input_ids"]), list(encoded["token_type_ids"])


def collate(texts: Sequence[str], tokenizer: Any, *, max_length: int) -> Batch:
    """Tokenize and pad texts as the data module does, for texts that come one by one."""
    sequences = [np.asarray(ids, np.int32) for ids in encode(texts, tokenizer, max_length=max_length)]
    return pad(sequences, pad_id=tokenizer.pad_token_id or 0)
