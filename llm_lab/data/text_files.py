"""Open text of any size, packed or not, so that a broken byte spoils one row and not the file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import fsspec

from llm_lab.data.record import UnusableError
from llm_lab.errors import ConfigError


@contextmanager
def open_text(path: Path, *, encoding: str, newline: str) -> Iterator[TextIO]:
    """Yield a text stream in which undecodable bytes stand as lone surrogates; a byte-order mark is skipped.

    Args:
        path: file; ``.gz``, ``.bz2``, ``.xz`` and ``.zst`` are unpacked on the way.
        encoding: name of a Python codec.
        newline: ``""`` ends lines at ``\\n``, ``\\r`` and ``\\r\\n``, ``"\\n"`` only there.

    Raises:
        ConfigError: no codec of that name.
    """
    try:
        "".encode(encoding)
    except LookupError as error:
        raise ConfigError(f"data.encoding: {error}") from None
    with fsspec.open(str(path), "rb", compression="infer") as raw:
        yield _decoded(raw, encoding, newline)


def _decoded(raw: io.BufferedIOBase, encoding: str, newline: str) -> TextIO:
    codec = "utf-8-sig" if encoding.lower().replace("_", "-") in {"utf-8", "utf8"} else encoding
    return io.TextIOWrapper(raw, encoding=codec, errors="surrogateescape", newline=newline)  # type: ignore[type-var]


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
