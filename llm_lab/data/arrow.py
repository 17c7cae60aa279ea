"""Tokenized rows in an Arrow stream file: written in pieces, read through the page cache.

The file is what ``datasets.Dataset.from_file`` opens; its columns are ``text``, ``label`` and ``input_ids``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llm_lab.data.spec import Problem

IntArray = npt.NDArray[np.int64]
LABEL_TYPES = {"single_label": pa.int32(), "multi_label": pa.list_(pa.int32()), "regression": pa.float64()}
PIECE_BYTES = 1 << 21  # of rows gathered before they are written: few pieces, little memory
READ_ROWS = 512


class ArrowWriter:
    """Collects rows and writes them piece by piece, so that neither many nor long rows fill the memory."""

    def __init__(self, *, path: Path, problem: Problem) -> None:
        fields = [("text", pa.string()), ("label", LABEL_TYPES[problem]), ("input_ids", pa.list_(pa.int32()))]
        self._schema = pa.schema(fields)
        self._sink = pa.OSFile(str(path), "wb")
        self._stream = pa.ipc.new_stream(self._sink, self._schema)
        self._pool = pa.system_memory_pool()  # gives large blocks back at once, as Arrow's default does not
        self._waiting: list[Any] = []

    def add(self, texts: Sequence[str], labels: Sequence[Any], ids: Sequence[Sequence[int]]) -> None:
        """Append rows: texts, targets and token numbers, one each."""
        columns = zip((texts, labels, ids), self._schema.types, strict=True)
        arrays = [pa.array(values, kind, memory_pool=self._pool) for values, kind in columns]
        self._waiting.append(pa.record_batch(arrays, schema=self._schema))
        if sum(batch.nbytes for batch in self._waiting) >= PIECE_BYTES:
            self._flush()

    def _flush(self) -> None:
        table = pa.Table.from_batches(self._waiting, self._schema).combine_chunks(memory_pool=self._pool)
        self._stream.write_table(table)
        self._waiting = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if error is None and self._waiting:
            self._flush()
        self._stream.close()
        self._sink.close()


class TokenTable:
    """The rows of one split, memory-mapped: nothing is copied before a batch is made."""

    def __init__(self, *, path: Path, problem: Problem, labels: int) -> None:
        self.problem, self.labels = problem, labels
        self._table = pa.ipc.open_stream(pa.memory_map(str(path))).read_all()
        self._pieces = [_Piece(batch) for batch in self._table.to_batches()]
        rows = [piece.rows for piece in self._pieces]
        self._ends = np.cumsum(rows, dtype=np.int64)
        self._starts = self._ends - np.array(rows, np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def lengths(self, rows: IntArray) -> IntArray:
        """Tokens of each row, [N] to [N]."""
        piece, place = self._locate(rows)
        lengths = np.empty(len(rows), np.int64)
        for number in np.unique(piece):
            chosen = piece == number
            offsets, inside = self._pieces[number].offsets, place[chosen]
            lengths[chosen] = offsets[inside + 1] - offsets[inside]
        return lengths

    def tokens(self, rows: IntArray) -> list[npt.NDArray[np.int32]]:
        """Views of the token numbers of each row."""
        return [self._pieces[piece].tokens(place) for piece, place in zip(*self._locate(rows), strict=True)]

    def targets(self, rows: IntArray) -> npt.NDArray[Any]:
        """Targets of each row: int64 [N], float32 [N] for regression, float32 [N, C] for multi-label."""
        cells = [self._pieces[piece].label(place) for piece, place in zip(*self._locate(rows), strict=True)]
        if self.problem == "multi_label":
            targets = np.zeros((len(rows), self.labels), np.float32)
            for target, cell in zip(targets, cells, strict=True):
                target[cell] = 1.0
            return targets
        return np.array(cells, np.float32 if self.problem == "regression" else np.int64)

    def stream(self) -> Iterator[tuple[str, Any]]:
        """Yield text and raw target of every row, in order."""
        for batch in self._table.select(["text", "label"]).to_batches(max_chunksize=READ_ROWS):
            yield from zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True)

    def _locate(self, rows: IntArray) -> tuple[IntArray, IntArray]:
        piece = np.searchsorted(self._ends, rows, side="right")
        return piece, rows - self._starts[piece]


class _Piece:
    """One record batch as numpy views."""

    def __init__(self, batch: Any) -> None:
        self.rows: int = batch.num_rows
        ids = batch.column("input_ids")
        self.offsets: npt.NDArray[np.int32] = ids.offsets.to_numpy()
        self._values: npt.NDArray[np.int32] = ids.values.to_numpy()
        label = batch.column("label")
        nested = pa.types.is_list(label.type)
        self._label_offsets = label.offsets.to_numpy() if nested else None
        self._labels = (label.values if nested else label).to_numpy()

    def tokens(self, place: int) -> npt.NDArray[np.int32]:
        return self._values[self.offsets[place] : self.offsets[place + 1]]

    def label(self, place: int) -> Any:
        if self._label_offsets is None:
            return self._labels[place]
        return self._labels[self._label_offsets[place] : self._label_offsets[place + 1]]
