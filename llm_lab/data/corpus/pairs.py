"""Two runs of sentences in a row: which of them follow each other is to be told.

Next-sentence prediction: Devlin et al. 2019, https://arxiv.org/abs/1810.04805; sentence order: Lan et al. 2020,
https://arxiv.org/abs/1909.11942.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import torch

from llm_lab.data.collate import pad, pad_column
from llm_lab.data.corpus.stream import Stream
from llm_lab.data.table import Batch, IntArray, Table

END = re.compile(
    r"(?<=[.!?]['\")\]])\s+|(?<=[.!?])\s+|(?<=[。！？；…][”’」』）])|(?<=[。！？；…])(?![”’」』）。！？…])|\n+"
)
MARKS = 3  # [CLS] A [SEP] B [SEP]


def sentences(text: str) -> list[str]:
    """Cut an English or Chinese text behind the marks that end a sentence, and at line breaks."""
    return [part for part in (piece.strip() for piece in END.split(text)) if part]


class PairTable(Table):
    """Runs of sentences of one document, cut in two at random; ``pair_labels`` is 0 where the second part follows.

    Otherwise it is 1: the second part is from another document, or with ``swap`` the parts have changed places. The
    choice is a pure function of seed, epoch and row.

    Args:
        stream: tokens without special ones.
        length: most tokens of a row.
        marks: numbers of padding, [CLS] and [SEP].
        swap: sentence order instead of next sentence.
        seed: of the choices.
    """

    def __init__(
        self, *, stream: Stream, length: int, marks: tuple[int, int, int], swap: bool, seed: int
    ) -> None:
        self.stream, self.length, self.marks, self.swap, self.seed = stream, length, marks, swap, seed
        self.runs = np.array(_runs(stream, length - MARKS), np.int64).reshape(-1, 2)
        self.document = stream.document(stream.sentences[self.runs[:, 0]])

    def __len__(self) -> int:
        return len(self.runs)

    def lengths(self, rows: IntArray) -> IntArray:
        """Most tokens of each row, [N] to [N]."""
        low, high = self.runs[rows].T
        room = self.length - MARKS
        return np.minimum(self.stream.sentences[high] - self.stream.sentences[low], room) + MARKS

    def weights(self, rows: IntArray, epoch: int) -> IntArray:
        """Tokens of each row that are not special, [N] to [N]."""
        places = [self._places(int(row), epoch) for row in rows]
        return np.array([a.stop - a.start + b.stop - b.start for a, b, _ in places], np.int64)

    def batch(self, rows: IntArray, epoch: int) -> Batch:
        """``input_ids``, ``attention_mask``, ``token_type_ids`` int64 [B, T], ``pair_labels`` int64 [B]."""
        fill, cls, sep = self.marks
        places = [self._places(int(row), epoch) for row in rows]
        parts = [(self.stream.tokens[a], self.stream.tokens[b], label) for a, b, label in places]
        ids = [np.concatenate([[cls], a, [sep], b, [sep]]).astype(np.int32) for a, b, _ in parts]
        types = [np.repeat([0, 1], [len(a) + 2, len(b) + 1]) for a, b, _ in parts]
        batch = pad(ids, pad_id=fill)
        batch["token_type_ids"] = pad_column(types, like=batch["input_ids"], fill=0)
        batch["pair_labels"] = torch.tensor([label for *_, label in parts], dtype=torch.int64)
        return batch

    def _places(self, row: int, epoch: int) -> tuple[slice, slice, int]:
        """Where the two parts stand in the stream, and the label."""
        chance = np.random.default_rng([self.seed, epoch, row])
        low, high = self.runs[row]
        begin, middle, end = self.stream.sentences[[low, chance.integers(low + 1, high), high]].tolist()
        room = self.length - MARKS
        one, two = middle - begin, end - middle
        one, two = min(one, max(room - two, room // 2)), min(two, max(room - one, room // 2))
        first, second = slice(begin, begin + one), slice(middle, middle + two)
        if chance.random() < 0.5:  # noqa: PLR2004 - one half
            return first, second, 0
        if self.swap:
            return second, first, 1
        return first, self._other(row, two, chance), 1

    def _other(self, row: int, most: int, chance: np.random.Generator) -> slice:
        """Sentences of another document, from a random one on."""
        before, behind = np.searchsorted(self.document, self.document[row] + [0, 1])
        other = int(chance.integers(len(self) - behind + before))
        low, high = self.runs[other if other < before else other + behind - before]
        begin, end = self.stream.sentences[[chance.integers(low, high), high]].tolist()
        return slice(begin, min(end, begin + most))


def _runs(stream: Stream, room: int) -> Sequence[tuple[int, int]]:
    """First and last sentence of runs of at least two that fit into ``room`` tokens, two always fit."""
    found, low = [], 0
    starts, documents = stream.sentences.tolist(), set(stream.documents.tolist())
    for place in range(1, len(starts)):
        full = place - low > 1 and starts[place] - starts[low] > room
        if full and place - low > 2:  # noqa: PLR2004 - the last sentence begins the next run
            found.append((low, place - 1))
            low = place - 1
            full = False
        ends = starts[place] in documents
        if full or ends:
            if place - low > 1:
                found.append((low, place))
            low = place
    return found
