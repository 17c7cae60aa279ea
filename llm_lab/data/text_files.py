"""Open text of any size, packed or not, so that a broken byte spoils one row and not the file."""

from __future__ import annotations

import codecs
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

import fsspec  # type: ignore[import-untyped]

from llm_lab.data.record import UnusableError
from llm_lab.errors import ConfigError

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
    """Yield the bytes of a file, unpacked, or of standard input."""
    if path == STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    with fsspec.open(str(path), "rb", compression="infer") as raw:
        yield raw


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
