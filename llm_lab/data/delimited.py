"""Read CSV and TSV row by row, with the number of the line on which each row begins."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from llm_lab.data.record import Record, Rejected
from llm_lab.data.source import Source, nearest
from llm_lab.data.text_files import open_text
from llm_lab.errors import DataError

LONGEST_FIELD = 1 << 24  # characters; the csv module's own limit of 131,072 is below real documents
DELIMITERS = {"csv": ",", "tsv": "\t"}
UTF_16_MARKS = ("\udcff\udcfe", "\udcfe\udcff")  # as undecodable bytes
NEVER_CLOSED = "unexpected end of data"


def read_delimited(path: Path, source: Source, needed: Sequence[str]) -> Iterator[Record | Rejected]:
    """Yield the rows of a table; blank lines are skipped.

    Raises:
        DataError: the header lacks a needed column, or a quote opens and never closes.
    """
    quoted = source.format == "csv" if source.quoted is None else source.quoted
    csv.field_size_limit(LONGEST_FIELD)
    with open_text(path, encoding=source.encoding, newline="" if quoted else "\n") as stream:
        reader = csv.reader(
            _counting(stream, source.comment),
            delimiter=source.delimiter or DELIMITERS[source.format or "csv"],
            quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
            strict=True,
        )
        rows = _rows(reader, path)
        names = [name.strip() for name in source.header or _header(rows, path)]
        check_columns(names, needed, path)
        yield from _records(rows, names, path)


def _counting(lines: Iterable[str], comment: str | None) -> Iterable[str]:
    """The lines that count; those of comments become empty, so that the others keep their numbers."""
    return lines if comment is None else ("\n" if line.startswith(comment) else line for line in lines)


def check_columns(names: Sequence[str], needed: Sequence[str], path: Path) -> None:
    """Raise a DataError that names the first needed column that is not there, and the nearest that is."""
    for name in needed:
        if name not in names:
            raise DataError(f"{path}: no column `{name}`{nearest(name, list(names))}")


def _header(rows: Iterator[tuple[int, list[str] | str]], path: Path) -> list[str]:
    line, fields = next(rows, (0, []))
    if isinstance(fields, str):
        raise DataError(f"{path}: line {line}: {fields}")
    if not fields:
        raise DataError(f"{path}: the file is empty")
    if fields[0].startswith(UTF_16_MARKS):
        raise DataError(f"{path}: the file is in UTF-16: set data.encoding=utf-16")
    return fields


def _rows(reader: Any, path: Path) -> Iterator[tuple[int, list[str] | str]]:
    """Yield the first line of each row with its fields, or with what is wrong with them."""
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if NEVER_CLOSED in str(error):
                raise DataError(f"{path}: line {line}: a quote opens here and never closes") from None
            yield line, str(error)
            continue
        if fields:
            yield line, fields


def _records(
    rows: Iterator[tuple[int, list[str] | str]], names: list[str], path: Path
) -> Iterator[Record | Rejected]:
    for line, fields in rows:
        if isinstance(fields, str):
            yield Rejected(path.name, line, "broken quotes", fields)
        elif len(fields) != len(names):
            text = f"{len(fields)} fields where the table has {len(names)} columns: {'|'.join(fields)}"
            yield Rejected(path.name, line, "wrong field count", text)
        else:
            yield Record(path.name, line, dict(zip(names, fields, strict=True)))
