"""From a cell that names or holds a file to a number in a store: read, checked and decoded once, in several threads."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from llm_lab.data.multimodal.cells import missing
from llm_lab.data.multimodal.kind import MISSING, Array, MediaKind
from llm_lab.data.multimodal.made import Made
from llm_lab.data.multimodal.store import Store, StoreWriter
from llm_lab.data.record import UnusableError

MOST_BYTES = 1 << 29  # of one file


def threads() -> int:
    """Threads that decode: Pillow and libsndfile let go of the interpreter's lock."""
    return max(1, min(16, os.cpu_count() or 1))


class MediaWriter:
    """The files of one input. Equal cells, and files of equal content, are stored once.

    Args:
        folder: gets the store.
        kind: how files are decoded.
    """

    def __init__(self, folder: Path, kind: MediaKind) -> None:
        self.kind = kind
        self._known: dict[str, int | UnusableError] = {}  # by cell
        self._numbers: dict[str, int] = {}  # by content
        self.digests: list[str] = []
        self._stack = ExitStack()
        path = folder / kind.input
        self._items = self._stack.enter_context(StoreWriter(path, dtype=kind.dtype, shape=kind.item))
        dtype, shape = kind.derived_item
        self._derived = self._stack.enter_context(StoreWriter(_derived(path), dtype=dtype, shape=shape))

    def number(self, cell: Any, root: Path) -> int:
        """The number of what a cell names or holds; `MISSING` for an optional one that is not there.

        Raises:
            UnusableError: it is missing, or was refused when it was decoded.
        """
        if missing(cell):
            if self.kind.optional:
                return MISSING
            raise self.kind.absent()
        found = self._known[_name(cell, root)]
        if isinstance(found, UnusableError):
            raise found
        return found

    def take(self, cells: Iterable[tuple[Any, Path]], pool: ThreadPoolExecutor) -> None:
        """Decode the cells, each with the folder that its path is relative to, that are not known yet."""
        new = {_name(cell, root): (cell, root) for cell, root in cells if not missing(cell)}
        new = {name: pair for name, pair in new.items() if name not in self._known}
        for name, found in zip(new, pool.map(self._decoded, new.values()), strict=True):
            self._known[name] = found if isinstance(found, UnusableError) else self._stored(*found)

    def _decoded(self, pair: tuple[Any, Path]) -> tuple[str, Array, Array | None] | UnusableError:
        try:
            content = contents(*pair)
            if isinstance(content, np.ndarray):
                digest, item = _digest(content.tobytes()), self.kind.accept(content)
            else:
                digest, item = _digest(content), self.kind.decode(content)
            return digest, item, self.kind.derive(item)
        except UnusableError as error:
            return error

    def _stored(self, digest: str, item: Array, derived: Array | None) -> int:
        if digest not in self._numbers:
            self._numbers[digest] = self._items.add(item)
            self.digests.append(digest)
            if derived is not None:
                self._derived.add(derived)
        return self._numbers[digest]

    def length(self, number: int) -> int:
        """Frames of an item that was stored, see `MediaKind.length`."""
        return self.kind.length(self._items.size(number))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._stack.close()


def open_store(folder: Path, kind: MediaKind, *, derived: bool = False) -> Store:
    """The arrays of an input as they were decoded, or what was derived of them."""
    path = folder / kind.input
    dtype, shape = kind.derived_item if derived else (kind.dtype, kind.item)
    return Store(_derived(path) if derived else path, dtype=dtype, shape=shape)


def contents(cell: Any, root: Path) -> bytes | Array:
    """Bytes of the file that a cell names or holds, or the numbers that it holds.

    Args:
        cell: a path, bytes, a list of numbers, a mapping with ``bytes`` or ``path`` as hub data sets have it, or what
            is `Made` of others.
        root: what a path is relative to; it may not lead out of there.

    Raises:
        UnusableError: no such file, one that is too large, or a cell of another kind.
    """
    if isinstance(cell, Made):
        return cell.content(lambda one: _file(one, root))
    if isinstance(cell, Mapping):
        cell = cell.get("bytes") or cell.get("array") or cell.get("path")
    if isinstance(cell, bytes | bytearray | memoryview):
        return bytes(cell)
    if isinstance(cell, list | tuple | np.ndarray):
        try:
            return np.asarray(cell, np.float32)
        except (TypeError, ValueError):
            raise UnusableError("no file and no numbers", str(cell)[:60]) from None
    return _file(cell, root)


def _file(cell: Any, root: Path) -> bytes:
    """The bytes of the file that a cell names."""
    path = (root / str(cell).strip()).resolve()
    if not path.is_relative_to(root.resolve()):
        raise UnusableError("file outside the folder of its table", cell)
    if not path.is_file():
        raise UnusableError("no such file", cell)
    if path.stat().st_size > MOST_BYTES:
        raise UnusableError("file too large", f"{cell}: {path.stat().st_size} bytes")
    return path.read_bytes()


def _derived(path: Path) -> Path:
    return path.with_name(f"{path.name}-derived")


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()


def _name(cell: Any, root: Path) -> str:
    """What tells one cell from another; that of a path is the path."""
    if isinstance(cell, Mapping):
        return _name(cell.get("bytes") or cell.get("array") or cell.get("path"), root)
    if isinstance(cell, np.ndarray):
        return _digest(cell.tobytes())
    if isinstance(cell, bytes | bytearray | memoryview):
        return _digest(bytes(cell))
    if isinstance(cell, Made):
        return f"{root}\n{cell!r}"
    return str(root / str(cell).strip()) if isinstance(cell, str) else repr(cell)
