"""Take one file or folder out of an archive, trusting nothing that the archive says about itself."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import IO, Literal, cast

from llm_lab.assets.near import proposal
from llm_lab.errors import AssetError

_LIMIT = 16 << 30  # bytes that one asset may unpack to, unless LLM_LAB_UNPACK_LIMIT says otherwise
_BLOCK = 4096  # what the smallest file takes on a disk
_CHUNK = 1 << 18
_HEADER_LIMIT = 1 << 24  # no honest tar header is longer
_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    RuntimeError,  # an encrypted zip
    NotImplementedError,  # a compression that zipfile does not know
    UnicodeError,
)


class Budget:
    """Counts what an asset unpacks to, over all its nested archives; AssetError where it passes the limit."""

    def __init__(self) -> None:
        given = os.environ.get("LLM_LAB_UNPACK_LIMIT") or str(_LIMIT)
        if not given.isdecimal():
            raise AssetError(f"LLM_LAB_UNPACK_LIMIT={given} is not a number of bytes")
        self.limit = int(given)
        self._spent = 0

    def spend(self, count: int) -> None:
        """Count bytes that were written."""
        self._spent += count
        self.reach(self._spent)

    def reach(self, count: int) -> None:
        """Refuse a length of `count` bytes where it passes the limit."""
        if count > self.limit:
            raise AssetError(
                f"unpacks to more than {self.limit} bytes; LLM_LAB_UNPACK_LIMIT sets another limit"
            )


class _Guarded:
    """A decompressed stream with bounds on its length and headers, so that a tar bomb is seen early."""

    def __init__(self, stream: IO[bytes], budget: Budget) -> None:
        self._stream = stream
        self._budget = budget

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _HEADER_LIMIT:
            raise AssetError(f"is refused: it holds a header of {size} bytes")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._budget.reach(offset)
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


Kind = Literal["file", "folder", "other"]


@dataclass(frozen=True, kw_only=True)
class Member:
    """One entry of an archive, as it calls itself."""

    name: str
    kind: Kind
    open: Callable[[], IO[bytes]]


def unpack(archive: Path, step: str, target: Path, *, budget: Budget, strip_top: bool = False) -> Path:
    """Unpack the file or folder `step` (`""`: everything) into the empty folder `target`; returns its path.

    `strip_top` takes member names without their first folder, as in a source distribution. Raises AssetError
    for unsafe names, links and devices among what is asked for, too many bytes, a broken archive, and a path
    that is not there, naming the nearest ones.
    """
    try:
        return _unpack(archive, step, target, budget, strip_top)
    except _BROKEN as error:
        raise AssetError(f"{archive.name} cannot be unpacked: {error or type(error).__name__}") from error


def _unpack(archive: Path, step: str, target: Path, budget: Budget, strip_top: bool) -> Path:  # noqa: FBT001
    names: list[str] = []
    found: Path | None = None
    with _members(archive, budget) as (members, single):
        result = target / (single or step.rpartition("/")[2] or "all")
        for member in members:
            name = _safe(archive, member.name)
            name = name.partition("/")[2] if strip_top else name
            names.append(name)
            if (inside := _inside(name, step)) is not None and name:
                found = result
                _write(archive, member, result / inside if inside and not single else result, budget)
    if found is None:
        raise AssetError(f"{archive.name} holds no {step!r}{proposal(step, _with_folders(names))}")
    return found


def _inside(name: str, step: str) -> str | None:
    """The member's path below `step`: `""` for `step` itself, None for a member elsewhere."""
    if not step or name == step:
        return name if not step else ""
    return name.removeprefix(step + "/") if name.startswith(step + "/") else None


def _safe(archive: Path, name: str) -> str:
    """The member's name in plain segments; AssetError where it is absolute or climbs."""
    windows = PureWindowsPath(name)  # knows both kinds of slash, and drives
    if windows.drive or windows.root or ".." in windows.parts or "\0" in name:
        raise AssetError(f"{archive.name} is refused: its member {name!r} points outside of the archive")
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _write(archive: Path, member: Member, path: Path, budget: Budget) -> None:
    if member.kind == "other":
        raise AssetError(f"{archive.name} is refused: its member {member.name!r} is a link or a device")
    if member.kind == "folder":
        path.mkdir(parents=True, exist_ok=True)
        return budget.spend(_BLOCK)
    path.parent.mkdir(parents=True, exist_ok=True)
    budget.spend(_BLOCK)
    with member.open() as source, path.open("wb") as sink:
        while chunk := source.read(_CHUNK):
            budget.spend(len(chunk))
            sink.write(chunk)
    return None


def _with_folders(names: list[str]) -> set[str]:
    parents = {name.rpartition("/")[0] for name in names}
    return {name for name in (*names, *parents) if name}


@contextmanager
def _members(archive: Path, budget: Budget) -> Iterator[tuple[Iterator[Member], str]]:
    """The archive's members in order; the second value names the only one of a compressed single file."""
    if zipfile.is_zipfile(archive) and _magic(archive).startswith(b"PK"):
        with zipfile.ZipFile(archive) as opened:
            yield _zip_members(opened), ""
        return
    with _decompressed(archive) as stream:
        tar = _tar(stream, budget)
        if tar:
            yield _tar_members(tar), ""
        elif isinstance(stream, io.BufferedReader):
            raise AssetError(f"{archive.name} is no archive (zip, tar, gz, bz2 or xz)")
        else:
            name = archive.name.rpartition(".")[0] or archive.name
            yield iter([Member(name=name, kind="file", open=lambda: _decompressed(archive))]), name


def _tar(stream: IO[bytes], budget: Budget) -> tarfile.TarFile | None:
    """The stream as a tar; None where it is none, or an empty one, which a file of zeros looks like."""
    try:
        tar = tarfile.TarFile(fileobj=_Guarded(stream, budget))  # type: ignore[arg-type]
    except tarfile.ReadError:
        return None
    return tar if tar.next() else None


def _magic(archive: Path) -> bytes:
    with archive.open("rb") as stream:
        return stream.read(6)


def _decompressed(archive: Path) -> IO[bytes]:
    """The archive's bytes, decompressed where they are compressed."""
    magic = _magic(archive)
    if magic.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.open(archive))
    if magic.startswith(b"BZh"):
        return cast("IO[bytes]", bz2.open(archive))
    if magic.startswith(b"\xfd7zXZ\x00"):
        return cast("IO[bytes]", lzma.open(archive))
    return archive.open("rb")


def _zip_members(opened: zipfile.ZipFile) -> Iterator[Member]:
    for info in opened.infolist():
        mode = stat.S_IFMT(info.external_attr >> 16)
        plain = mode in (0, stat.S_IFREG, stat.S_IFDIR)
        kind: Kind = "other" if not plain else "folder" if info.is_dir() else "file"
        yield Member(name=info.filename, kind=kind, open=partial(opened.open, info))


def _tar_members(tar: tarfile.TarFile) -> Iterator[Member]:
    for info in tar:
        kind: Kind = "folder" if info.isdir() else "file" if info.isreg() else "other"
        yield Member(name=info.name, kind=kind, open=partial(_tar_file, tar, info))


def _tar_file(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    return tar.extractfile(info) or io.BytesIO()
