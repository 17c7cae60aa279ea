"""The text that a model is to write of a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

from llm_lab.data.multimodal.cells import Text
from llm_lab.data.multimodal.kind import Array
from llm_lab.data.table import Batch

IGNORED = -100  # label of a place behind the end


class Caption(Text):
    """A text as a target: it ends with the tokenizer's end token, and no other special token stands in it."""

    def encode(self, cells: Any) -> list[int]:
        """Token numbers with the end, cut to the longest length."""
        end = self.tokenizer.eos_token_id
        ends = [] if end is None else [end]
        most = self.max_length - len(ends)
        tokens = self.tokenizer(
            cells, add_special_tokens=False, truncation=True, max_length=most, verbose=False
        )["input_ids"]
        return [*tokens, *ends]

    def text(self, tokens: Sequence[int]) -> str:
        """What token numbers say, ``IGNORED`` ones and special tokens left out."""
        known = [int(token) for token in tokens if token != IGNORED]
        return str(self.tokenizer.decode(known, skip_special_tokens=True)).strip()

    def batch(self, rows: Sequence[Array]) -> Batch:
        """``labels`` int64 [B, T], -100 behind the end; ``input_ids`` [B, T - 1], what stands before each but the first."""
        tokens = [torch.from_numpy(row.astype("int64")) for row in rows]
        labels = pad_sequence(tokens, batch_first=True, padding_value=IGNORED)
        before = labels[:, :-1]
        return {
            "labels": labels,
            "input_ids": before.masked_fill(before == IGNORED, self.tokenizer.pad_token_id or 0),
        }
