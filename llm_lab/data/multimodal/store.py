"""Arrays of one type in a file: written one after the other, read as views through the page cache."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from llm_lab.data.multimodal.kind import Array


class StoreWriter:
    """Collects arrays [T, ...] that differ in nothing but T.

    Args:
        path: name of the files, without a suffix.
        dtype: of the arrays.
        shape: of an array behind its first size.
    """

    def __init__(self, path: Path, *, dtype: str, shape: tuple[int, ...]) -> None:
        self.path, self.dtype, self.shape = path, np.dtype(dtype), shape
        self._ends: list[int] = []
        self._file = path.with_suffix(".bin").open("wb")

    def add(self, item: Array) -> int:
        """Append an array and return its number."""
        if item.shape[1:] != self.shape or item.dtype != self.dtype:
            raise ValueError(
                f"{item.dtype} {item.shape} does not belong among {self.dtype} [T, {self.shape}]"
            )
        self._file.write(np.ascontiguousarray(item).tobytes())
        self._ends.append((self._ends[-1] if self._ends else 0) + len(item))
        return len(self._ends) - 1

    def size(self, number: int) -> int:
        """First size of an array that was added."""
        return self._ends[number] - (self._ends[number - 1] if number else 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._file.close()
        np.save(self.path.with_suffix(".npy"), np.array(self._ends, np.int64), allow_pickle=False)


class Store:
    """The arrays that a `StoreWriter` wrote, by number.

    Args:
        path: name of the files, without a suffix.
        dtype: as they were written.
        shape: as they were written.
    """

    def __init__(self, path: Path, *, dtype: str, shape: tuple[int, ...]) -> None:
        self._ends = np.load(path.with_suffix(".npy"), allow_pickle=False)
        empty = not len(self._ends)
        self._values = (
            np.empty((0, *shape), dtype)
            if empty
            else np.memmap(path.with_suffix(".bin"), dtype, "r", shape=(int(self._ends[-1]), *shape))
        )

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, number: int) -> Array:
        start = self._ends[number - 1] if number else 0
        return self._values[start : self._ends[number]]

    def sizes(self) -> Array:
        """First size of each array, int64 [N]."""
        return np.diff(self._ends, prepend=0)
