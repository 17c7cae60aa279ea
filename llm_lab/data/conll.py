"""Read files with a word and its tag on each line and a blank line between sentences (CoNLL 2003 and its kin)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from llm_lab.data.record import Record, Rejected
from llm_lab.data.source import Source
from llm_lab.data.text_files import open_text

DOCUMENT = "-DOCSTART-"
Line = tuple[int, list[str]]


def read_conll(
    path: Path, source: Source, *, token: int, tag: int | None, comment: str | None
) -> Iterator[Record | Rejected]:
    """Yield a row per sentence: ``tokens``, ``tags`` where asked for, and the numbers of their ``lines``.

    Fields are parted by tabs where a line has one, else by blanks.

    Args:
        path: the file.
        source: gives the encoding.
        token: number of the word's column; from the end where it is negative.
        tag: number of the tag's column, None for text without tags.
        comment: what a line begins with that does not count.
    """
    most = _least(token) if tag is None else max(_least(token), _least(tag), 2)
    for sentence in _sentences(path, source.encoding, comment):
        start, first = sentence[0]
        short = next((line for line, fields in sentence if len(fields) < most), None)
        if first[0] == DOCUMENT:
            continue
        if short is not None:
            yield Rejected(path.name, short, "wrong field count", f"{most} columns are wanted")
            continue
        values = {"tokens": [fields[token] for _, fields in sentence], "lines": [n for n, _ in sentence]}
        if tag is not None:
            values["tags"] = [fields[tag] for _, fields in sentence]
        yield Record(path.name, start, values)


def _least(column: int) -> int:
    """Fields that a line must have for the column to be there."""
    return column + 1 if column >= 0 else -column


def _sentences(path: Path, encoding: str, comment: str | None) -> Iterator[list[Line]]:
    sentence: list[Line] = []
    with open_text(path, encoding=encoding, newline="\n") as stream:
        for number, line in enumerate(stream, start=1):
            text = line.rstrip("\r\n")
            if comment and text.startswith(comment):
                continue
            if text.strip():
                sentence.append((number, text.split("\t") if "\t" in text else text.split()))
            elif sentence:
                yield sentence
                sentence = []
    if sentence:
        yield sentence
