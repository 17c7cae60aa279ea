"""Read JSON objects, a line each or as one array, without holding more than one of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

from llm_lab.data.delimited import check_columns
from llm_lab.data.record import Record, Rejected
from llm_lab.data.source import Source
from llm_lab.data.text_files import open_text
from llm_lab.errors import DataError

CHUNK = 1 << 16  # characters read at a time from an array
LONGEST_ELEMENT = 1 << 26  # characters; what is longer is taken for a broken array
PEEK = 20  # rows whose keys together must hold the needed columns


def read_json(path: Path, source: Source, needed: Sequence[str]) -> Iterator[Record | Rejected]:
    """Yield the objects of a file of JSON lines or of one JSON array; with a header also lists that are as long.

    Raises:
        DataError: none of the first rows has a needed column, or an array is broken.
    """
    with open_text(path, encoding=source.encoding, newline="\n") as stream:
        start, line = stream.read(1), 1
        while start.isspace():
            line += start == "\n"
            start = stream.read(1)
        if not start:
            raise DataError(f"{path}: the file is empty")
        if start == "[":
            items = _array(stream, path, line, source.header)
        else:
            items = _lines(chain([start + stream.readline()], stream), path, line, source.header)
        first = list(islice(items, PEEK))
        keys = {key: None for item in first if isinstance(item, Record) for key in item.values}
        if keys:
            check_columns(list(keys), needed, path)
        yield from chain(first, items)


def _lines(
    lines: Iterator[str], path: Path, start: int, header: Sequence[str] | None
) -> Iterator[Record | Rejected]:
    for number, line in enumerate(lines, start=start):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            yield Rejected(path.name, number, "not JSON", f"{error}: {line}")
            continue
        yield _item(value, path, number, header)


def _item(value: Any, path: Path, line: int, header: Sequence[str] | None) -> Record | Rejected:
    if isinstance(value, dict):
        return Record(path.name, line, value)
    if isinstance(value, list) and header is not None and len(value) == len(header):
        return Record(path.name, line, dict(zip(header, value, strict=True)))
    return Rejected(path.name, line, "not an object", json.dumps(value, ensure_ascii=False))


def _array(
    stream: TextIO, path: Path, line: int, header: Sequence[str] | None
) -> Iterator[Record | Rejected]:
    decoder, buffer, chunk = json.JSONDecoder(), "", "["
    while chunk and len(buffer) < LONGEST_ELEMENT:
        chunk = stream.read(max(CHUNK, len(buffer)))  # doubling keeps the work linear in a long element
        buffer += chunk
        while True:
            body = buffer.lstrip(" \t\r\n,")
            line += buffer.count("\n", 0, len(buffer) - len(body))
            buffer = body
            if buffer.startswith("]"):
                return
            try:
                value, end = decoder.raw_decode(buffer)
            except ValueError:
                break
            if end == len(buffer) and chunk:  # a number may go on in the next chunk
                break
            yield _item(value, path, line, header)
            line += buffer.count("\n", 0, end)
            buffer = buffer[end:]
    raise DataError(f"{path}: line {line}: the JSON array is broken here: {buffer[:60]!r}")
