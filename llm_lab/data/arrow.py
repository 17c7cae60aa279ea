"""Tokenized rows in an Arrow stream file: written in pieces, read through the page cache.

The file is what ``datasets.Dataset.from_file`` opens; one of its columns is ``input_ids``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from llm_lab.data.annotations import BESIDE
from llm_lab.data.collate import pad, pad_column
from llm_lab.data.table import Batch, IntArray, Table

IDS, TYPES = "input_ids", "token_type_ids"
INTEGERS = pa.list_(pa.int32())
PIECE_BYTES = 1 << 21  # of rows gathered before they are written: few pieces, little memory
READ_ROWS = 512


class ArrowWriter:
    """Collects rows and writes them piece by piece, so that neither many nor long rows fill the memory.

    Args:
        path: the file.
        columns: type of each column by name.
    """

    def __init__(self, *, path: Path, columns: Mapping[str, pa.DataType]) -> None:
        self._schema = pa.schema(list(columns.items()))
        self._sink = pa.OSFile(str(path), "wb")
        self._stream = pa.ipc.new_stream(self._sink, self._schema)
        self._pool = pa.system_memory_pool()  # gives large blocks back at once, as Arrow's default does not
        self._waiting: list[Any] = []

    def add(self, values: Mapping[str, Sequence[Any]]) -> None:
        """Append rows, given by column."""
        arrays = [pa.array(values[field.name], field.type, memory_pool=self._pool) for field in self._schema]
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


class TokenTable(Table):
    """The rows of one split, memory-mapped: nothing is copied before a batch is made.

    Args:
        path: the file.
        pad_id: token number that fills rows up.
    """

    def __init__(self, *, path: Path, pad_id: int) -> None:
        self.pad_id = pad_id
        self._table = pa.ipc.open_stream(pa.memory_map(str(path))).read_all()
        self._pieces = [_Piece(batch) for batch in self._table.to_batches()]
        rows = [piece.rows for piece in self._pieces]
        self._ends = np.cumsum(rows, dtype=np.int64)
        self._starts = self._ends - np.array(rows, np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    @property
    def names(self) -> list[str]:
        """The columns."""
        return list(self._table.column_names)

    def lengths(self, rows: IntArray) -> IntArray:
        """Tokens of each row, [N] to [N]."""
        return self.counts(IDS, rows)

    def batch(self, rows: IntArray, epoch: int) -> Batch:
        """``input_ids``, ``attention_mask``, and of ``token_type_ids`` and `BESIDE` what there is: [B, T] each."""
        batch = pad(self.tokens(rows), pad_id=self.pad_id)
        for name in (TYPES, *BESIDE):
            if name in self.names:
                batch[name] = pad_column(self.column(name, rows), like=batch[IDS], fill=0)
        return batch

    def tokens(self, rows: IntArray) -> list[npt.NDArray[np.int32]]:
        """Views of the token numbers of each row."""
        return self.column(IDS, rows)

    def column(self, name: str, rows: IntArray) -> list[Any]:
        """The cells of a column of numbers, or views of those of a column of lists."""
        return [
            self._pieces[piece].cell(name, place) for piece, place in zip(*self._locate(rows), strict=True)
        ]

    def numbers(self, name: str, rows: IntArray) -> torch.Tensor:
        """A column of whole numbers, int64 [N]."""
        return torch.from_numpy(np.array(self.column(name, rows), np.int64))

    def counts(self, name: str, rows: IntArray) -> IntArray:
        """Lengths of the lists of a column, [N] to [N]."""
        piece, place = self._locate(rows)
        lengths = np.empty(len(rows), np.int64)
        for number in np.unique(piece):
            chosen = piece == number
            offsets, inside = self._pieces[number].offsets[name], place[chosen]
            lengths[chosen] = offsets[inside + 1] - offsets[inside]
        return lengths

    def stream(self, *names: str) -> Iterator[tuple[Any, ...]]:
        """Yield the named columns of every row, in order."""
        for batch in self._table.select(list(names)).to_batches(max_chunksize=READ_ROWS):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)

    def _locate(self, rows: IntArray) -> tuple[IntArray, IntArray]:
        piece = np.searchsorted(self._ends, rows, side="right")
        return piece, rows - self._starts[piece]


class _Piece:
    """One record batch as numpy views: of its numbers, and of its lists of numbers."""

    def __init__(self, batch: Any) -> None:
        self.rows: int = batch.num_rows
        self.offsets: dict[str, npt.NDArray[np.int32]] = {}
        self._values: dict[str, npt.NDArray[Any]] = {}
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if pa.types.is_list(column.type) and pa.types.is_primitive(column.type.value_type):
                self.offsets[name] = column.offsets.to_numpy()
                self._values[name] = column.values.to_numpy()
            elif pa.types.is_primitive(column.type):
                self._values[name] = column.to_numpy()

    def cell(self, name: str, place: int) -> Any:
        values = self._values[name]
        if name not in self.offsets:
            return values[place]
        offsets = self.offsets[name]
        return values[offsets[place] : offsets[place + 1]]
