"""Read what is to be labelled: a table or texts of any size, from a file or from standard input."""

from __future__ import annotations

import csv
import io
import logging
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from llm_lab.data.readers import READERS
from llm_lab.data.record import Rejected
from llm_lab.data.source import Source, guess_format, nearest
from llm_lab.data.text_files import STANDARD_INPUT, open_binary
from llm_lab.errors import ConfigError, DataError

log = logging.getLogger(__name__)
FORMATS = [name for name in READERS if name not in {"folder", "files"}]
JSON = frozenset({".json", ".jsonl", ".ndjson"})  # suffixes
GLANCE = 1 << 12  # bytes by which a stream's format is told


def read_rows(
    source: str,
    *,
    column: str = "text",
    format: str | None = None,  # noqa: A002 - the user's word
    encoding: str = "utf-8",
) -> Iterator[dict[str, Any]]:
    """Yield every row with all its columns, one at a time; a row that cannot be read keeps its place, empty.

    Args:
        source: a file, or ``-`` for standard input.
        column: the column that holds the text; lines of plain text come under this name.
        format: csv, tsv, json, jsonl, parquet or text; None tells it from the suffix or the first bytes.
        encoding: of text files; undecodable bytes become U+FFFD.

    Raises:
        ConfigError: an unknown format.
        DataError: no such file, or no such column.
    """
    path = Path(source)
    if path != STANDARD_INPUT and not path.is_file():
        raise DataError(f"{source}: no such file")
    name = format or guess_format(source) or _glance(path, column)
    if name not in FORMATS:
        raise ConfigError(f"unknown format `{name}`{nearest(name, FORMATS)}")
    how = replace(Source(uri=source), format=name, encoding=encoding)
    for row in READERS[name](path, how, [column]):
        if isinstance(row, Rejected):
            log.warning("%s:%d: %s; the row gets no label", row.file, row.line, row.reason)
            yield {column: ""}
        else:
            yield {key: _whole(value) for key, value in row.values.items()}


def _glance(path: Path, column: str) -> str:
    """Tell the format from the beginning: JSON by its bracket, a table by its header."""
    if path == STANDARD_INPUT:
        start = cast("io.BufferedReader", sys.stdin.buffer).peek(GLANCE)
    else:
        with open_binary(path) as raw:
            start = raw.read(GLANCE)
    line = next(iter(start.decode("utf-8-sig", "replace").lstrip().splitlines()), "")
    if line[:1] in {"{", "["}:
        return "json"
    for name, delimiter in (("tsv", "\t"), ("csv", ",")):
        cells = next(csv.reader([line], delimiter=delimiter), [])
        if column in cells and all(cell == cell.strip() for cell in cells):
            return name
    return "text"


def _whole(value: Any) -> Any:
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return value
