"""Rows cut out of a stream of tokens when a batch is made: blocks across documents, or pieces of one document."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from llm_lab.data.corpus.stream import Stream
from llm_lab.data.table import Batch, IntArray, Table
from llm_lab.errors import DataError

NONE = -100
PART = 1 << 20  # tokens looked at together


class Spans(NamedTuple):
    """Where rows lie in the stream: int64 [B] each; behind ``high`` a row goes on at ``low`` where ``round``."""

    start: IntArray
    length: IntArray
    low: IntArray
    high: IntArray
    round: bool


class StreamTable(Table):
    """Rows of a stream; a subclass says where each lies.

    Args:
        stream: the tokens.
        length: most tokens of a row.
        pad_id: token that fills rows up.
        special: numbers of special tokens.
        next_token: give ``labels``; without them a row's targets are all its tokens that are not special.
    """

    def __init__(
        self, *, stream: Stream, length: int, pad_id: int, special: Sequence[int], next_token: bool
    ) -> None:
        self.stream, self.length, self.pad_id, self.next_token = stream, length, pad_id, next_token
        self.untold = stream.documents[1:] - 1 if next_token else _places(stream, special)

    @abstractmethod
    def spans(self, rows: IntArray, epoch: int) -> Spans:
        """Where the rows lie in an epoch."""

    def lengths(self, rows: IntArray) -> IntArray:
        """Tokens of each row, [N] to [N]."""
        return self.spans(rows, 0).length

    def weights(self, rows: IntArray, epoch: int) -> IntArray:
        """Tokens of each row that can be predicted, [N] to [N]: none is looked at, only where documents end."""
        start, length, low, high, _ = self.spans(rows, epoch)
        end = start + length
        beyond = np.maximum(end - high, 0)  # of a row that goes round
        return length - self._untold(start, end - beyond) - self._untold(low, low + beyond)

    def _untold(self, start: IntArray, end: IntArray) -> IntArray:
        """Places from ``start`` to ``end`` that are no targets."""
        found: IntArray = np.searchsorted(self.untold, end) - np.searchsorted(self.untold, start)
        return found

    def batch(self, rows: IntArray, epoch: int) -> Batch:
        """Tokens with their place in their document, int64 [B, T] each.

        ``labels`` is the next token of the same document, -100 behind its end. ``attention_mask`` stands there where
        rows are filled up, ``segments`` (number of the document in the row from 1, 0 for filling) where a row holds
        several documents.
        """
        if not len(rows):
            return {
                "input_ids": torch.full((1, 1), self.pad_id),
                "position_ids": torch.zeros(1, 1, dtype=torch.int64),
                **({"labels": torch.full((1, 1), NONE)[:0]} if self.next_token else {}),
            }
        spans = self.spans(rows, epoch)
        width = int(spans.length.max())
        steps = np.arange(width + 1)
        places = spans.start[:, None] + steps
        low, high = spans.low[:, None], spans.high[:, None]
        inside = places < high
        if spans.round:
            places, inside = low + (places - low) % (high - low), np.ones_like(inside)
        places = np.where(inside, places, high - 1)
        real = (steps < spans.length[:, None])[:, :width]
        documents = self.stream.document(places)
        begins = (documents[:, 1:] != documents[:, :-1]) | (places[:, 1:] <= places[:, :-1])
        tokens = self.stream.tokens[places].astype(np.int64)
        first = np.concatenate([np.ones((len(rows), 1), bool), begins[:, :-1]], axis=1)
        since = np.maximum.accumulate(np.where(first, steps[:width], 0), axis=1)
        segments = np.where(real, np.cumsum(first, axis=1), 0)
        batch = {
            "input_ids": np.where(real, tokens[:, :-1], self.pad_id),
            "position_ids": np.where(real, steps[:width] - since, 0),
        }
        if self.next_token:
            batch["labels"] = np.where(real & ~begins, tokens[:, 1:], NONE)
        if not real.all():
            batch["attention_mask"] = real.astype(np.int64)
        if segments.max() > 1:
            batch["segments"] = segments
        return {name: torch.from_numpy(values) for name, values in batch.items()}


def _places(stream: Stream, tokens: Sequence[int]) -> IntArray:
    """Where one of some tokens stands in the stream."""
    wanted = np.array(tokens, np.int32)
    parts = range(0, len(stream), PART)
    return np.concatenate(
        [low + np.flatnonzero(np.isin(stream.tokens[low : low + PART], wanted)) for low in parts]
    )


class BlockTable(StreamTable):
    """Full blocks across documents.

    In training (``seed``) a pass over a source begins at a place of its own and goes round, so that passes differ and
    see every token once but for those that fill no block. With ``shares`` an epoch has as many blocks of each source
    as its share says: a source passes more often than once, or is gone on with in the next epoch.

    Args:
        stream: see `StreamTable`.
        length: tokens of a block.
        pad_id: see `StreamTable`.
        special: see `StreamTable`.
        next_token: see `StreamTable`.
        seed: of the places; None keeps them and the last partial block, for evaluation.
        shares: of the blocks of an epoch that come from each source, by name in the order of the stream.
    """

    def __init__(
        self,
        *,
        stream: Stream,
        length: int,
        pad_id: int,
        special: Sequence[int],
        next_token: bool,
        seed: int | None = None,
        shares: dict[str, float] | None = None,
    ) -> None:
        super().__init__(stream=stream, length=length, pad_id=pad_id, special=special, next_token=next_token)
        self.seed = seed
        bounds = stream.sources if shares else np.array([0, len(stream)])
        self.low, self.high = bounds[:-1], bounds[1:]
        self.blocks = (
            (self.high - self.low) // length if seed is not None else -(-(self.high - self.low) // length)
        )
        for name, blocks in zip(shares or {"the corpus": 1.0}, self.blocks, strict=True):
            if not blocks:
                raise DataError(
                    f"data.max_length: {name} has fewer training tokens than a block of {length}: take a smaller one"
                )
        total = int(self.blocks.sum())
        self.taken = (
            np.array([max(1, round(share * total)) for share in shares.values()]) if shares else self.blocks
        )
        self.ends = np.cumsum(self.taken)

    def __len__(self) -> int:
        return int(self.ends[-1])

    def spans(self, rows: IntArray, epoch: int) -> Spans:
        """See `StreamTable`."""
        source = np.searchsorted(self.ends, rows, side="right")
        low, high, place = self.low[source], self.high[source], rows - (self.ends - self.taken)[source]
        if self.seed is None:
            start = low + place * self.length
            return Spans(start, np.minimum(self.length, high - start), low, high, False)
        turn, block = np.divmod(epoch * self.taken[source] + place, self.blocks[source])
        passes, which = np.unique(np.stack([source, turn]), axis=1, return_inverse=True)
        shift = np.array([self._shift(*one) for one in passes.T.tolist()], np.int64)[which.reshape(-1)]
        start = low + (shift + block * self.length) % (high - low)
        return Spans(start, np.full(len(rows), self.length), low, high, True)

    def _shift(self, source: int, turn: int) -> int:
        size = int(self.high[source] - self.low[source])
        return int(np.random.default_rng([self.seed or 0, source, turn]).integers(size))


class PieceTable(StreamTable):
    """Documents by themselves, the long ones in several pieces."""

    def __init__(
        self, *, stream: Stream, length: int, pad_id: int, special: Sequence[int], next_token: bool
    ) -> None:
        super().__init__(stream=stream, length=length, pad_id=pad_id, special=special, next_token=next_token)
        sizes = np.diff(stream.documents)
        pieces = -(-sizes // length)
        self.document = np.repeat(np.arange(len(sizes)), pieces)
        number = np.arange(len(self.document)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        self.start = stream.documents[self.document] + number * length

    def __len__(self) -> int:
        return len(self.start)

    def spans(self, rows: IntArray, epoch: int) -> Spans:
        """See `StreamTable`."""
        start, document = self.start[rows], self.document[rows]
        low, high = self.stream.documents[document], self.stream.documents[document + 1]
        return Spans(start, np.minimum(self.length, high - start), low, high, False)
