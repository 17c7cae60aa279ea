"""From a cell that names or holds a file to a number in a store: read, checked and decoded once, in several threads."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from llm_lab.data.multimodal.cells import missing
from llm_lab.data.multimodal.kind import MISSING, Array, MediaKind
from llm_lab.data.multimodal.made import Made
from llm_lab.data.multimodal.sound import sound_file
from llm_lab.data.multimodal.store import Store, StoreWriter
from llm_lab.data.record import EXCERPT, UnusableError
from llm_lab.errors import LabError

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
        if missing(held(cell)):
            if self.kind.optional:
                return MISSING
            raise self.kind.absent()
        found = self._known[_name(cell, root)]
        if isinstance(found, UnusableError):
            raise found
        return found

    def take(self, cells: Iterable[tuple[Any, Path]], pool: ThreadPoolExecutor) -> None:
        """Decode the cells, each with the folder that its path is relative to, that are not known yet."""
        new = {_name(cell, root): (cell, root) for cell, root in cells if not missing(held(cell))}
        new = {name: pair for name, pair in new.items() if name not in self._known}
        for name, found in zip(new, pool.map(self._decoded, new.values()), strict=True):
            self._known[name] = found if isinstance(found, UnusableError) else self._stored(*found)

    def _decoded(self, pair: tuple[Any, Path]) -> tuple[str, Array, Array | None] | UnusableError:
        try:
            with rejecting(self.kind):
                content = contents(*pair)
                item = array(self.kind, content)
                return _digest(content), item, self.kind.derive(item)
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


@contextmanager
def rejecting(kind: MediaKind) -> Iterator[None]:
    """Make a reason to reject a row of whatever goes wrong with its cell; what the user can mend passes.

    Raises:
        UnusableError: in the place of any other error.
    """
    try:
        yield
    except (UnusableError, LabError):
        raise
    except Exception as error:  # decoders and systems raise whatever a file leads them to
        raise UnusableError(f"broken {kind.kind}", f"{type(error).__name__}: {error}") from error


def decoded(kind: MediaKind, cell: Any, root: Path) -> Array:
    """The array that would be stored of what a cell names or holds.

    Raises:
        UnusableError: there is no such file, or nothing can be made of it.
    """
    with rejecting(kind):
        return array(kind, contents(cell, root))


def array(kind: MediaKind, content: bytes | Array) -> Array:
    """The array that is stored of a file's content or of numbers."""
    return kind.accept(content) if isinstance(content, np.ndarray) else kind.decode(content)


def held(cell: Any) -> Any:
    """What the cell of a hub data set holds or names, None where that is nothing; any other cell itself."""
    if not isinstance(cell, Mapping):
        return cell
    parts = (cell.get(name) for name in ("bytes", "array", "path"))
    return next(
        (part for part in parts if not missing(part) and not (isinstance(part, bytes) and not part)), None
    )


def contents(cell: Any, root: Path) -> bytes | Array:
    """Bytes of the file that a cell names or holds, or the numbers that it holds.

    Args:
        cell: a path, bytes, a list of numbers, a mapping with ``bytes``, ``path``, or ``array`` and ``sampling_rate``
            as hub data sets have it, or what is `Made` of others.
        root: what a path is relative to; it may not lead out of there.

    Raises:
        UnusableError: no such file, one that is too large, or a cell of another kind.
    """
    if isinstance(cell, Made):
        return cell.content(lambda one: _file(one, root))
    rate = _rate(cell)
    cell = held(cell)
    if isinstance(cell, bytes | bytearray | memoryview):
        return bytes(cell)
    if isinstance(cell, list | tuple | np.ndarray):
        try:
            values = np.asarray(cell, np.float32)
        except (TypeError, ValueError):
            raise UnusableError("no file and no numbers", str(cell)[:60]) from None
        return values if rate is None else sound_file(values, rate)
    return _file(cell, root)


def _rate(cell: Any) -> Any:
    """Samples per second that stand beside an array."""
    return cell.get("sampling_rate") if isinstance(cell, Mapping) else None


def _file(cell: Any, root: Path) -> bytes:
    """The bytes of the file that a cell names."""
    try:
        path = (root / str(cell).strip()).resolve()
        path.is_file()
    except (OSError, RuntimeError, ValueError) as error:  # too long, a loop of links, a NUL
        raise UnusableError("no name of a file", str(error)[:EXCERPT]) from None
    if not path.is_relative_to(root.resolve()):
        raise UnusableError("file outside the folder of its table", cell)
    if not path.is_file():
        raise UnusableError("no such file", cell)
    if path.stat().st_size > MOST_BYTES:
        raise UnusableError("file too large", f"{cell}: {path.stat().st_size} bytes")
    return path.read_bytes()


def _derived(path: Path) -> Path:
    return path.with_name(f"{path.name}-derived")


def _digest(content: bytes | Array) -> str:
    if isinstance(content, np.ndarray):  # the same numbers in another shape are another picture
        content = f"{content.dtype.str}{content.shape}".encode() + content.tobytes()
    return blake2b(content, digest_size=16).hexdigest()


def _name(cell: Any, root: Path) -> str:
    """What tells one cell from another; that of a path is the path."""
    if isinstance(cell, Mapping):
        return f"{_rate(cell)} {_name(held(cell), root)}"
    if isinstance(cell, bytes | bytearray | memoryview | np.ndarray):
        return _digest(cell if isinstance(cell, np.ndarray) else bytes(cell))
    if isinstance(cell, Made):
        return f"{root}\n{cell!r}"
    return str(root / str(cell).strip()) if isinstance(cell, str) else repr(cell)
