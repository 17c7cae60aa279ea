"""Open text of any size, packed or not, so that a broken byte spoils one row and not the file."""

from __future__ import annotations

import codecs
import io
import lzma
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

import fsspec  # type: ignore[import-untyped]

from llm_lab.data.record import UnusableError
from llm_lab.data.source import PACKED
from llm_lab.errors import ConfigError, DataError

STANDARD_INPUT = Path("-")


@contextmanager
def open_text(path: Path, *, encoding: str, newline: str) -> Iterator[TextIO]:
    r"""Yield a text stream in which undecodable bytes stand as lone surrogates; a byte-order mark is skipped.

    Args:
        path: file, or ``-``; ``.gz``, ``.bz2``, ``.xz`` and ``.zst`` are unpacked on the way.
        encoding: name of a Python codec.
        newline: ``""`` ends lines at ``\n``, ``\r`` and ``\r\n``, ``"\n"`` only there.

    Raises:
        ConfigError: no codec of that name.
    """
    try:
        name = codecs.lookup(encoding).name
    except LookupError as error:
        raise ConfigError(f"data.encoding: {error}") from None
    codec = "utf-8-sig" if name == "utf-8" else name
    with open_binary(path) as raw:
        yield io.TextIOWrapper(raw, encoding=codec, errors="surrogateescape", newline=newline)


@contextmanager
def open_binary(path: Path) -> Iterator[BinaryIO]:
    """Yield the bytes of a file, unpacked, or of standard input.

    Raises:
        DataError: while they are read: the file is packed, and broken or cut off.
    """
    if path == STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    try:
        with fsspec.open(str(path), "rb", compression="infer") as raw:
            yield raw
    except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if path.suffix.lower() not in PACKED or getattr(error, "errno", None) is not None:
            raise  # of the disk, not of what is packed
        raise DataError(f"{path}: not {path.suffix} as it should be, or cut off: {error}") from error


def check_text(value: str) -> str:
    """Return the text without surrounding space.

    Raises:
        UnusableError: it holds bytes that could not be decoded, a NUL character, or nothing at all.
    """
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise UnusableError("wrong encoding", value) from None
    if "\0" in value:
        raise UnusableError("NUL character", value.replace("\0", "\\0"))
    text = value.strip()
    if not text:
        raise UnusableError("empty text")
    return text
