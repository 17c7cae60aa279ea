"""Read a JSON object as a table: a row for each key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from llm_lab.data.delimited import check_columns
from llm_lab.data.record import Record, Rejected
from llm_lab.data.source import Source
from llm_lab.data.text_files import open_text
from llm_lab.errors import ConfigError, DataError

NAMES = ("key", "value")
MOST_BYTES = 1 << 28  # an object is read as a whole


def read_mapping(path: Path, source: Source, needed: Sequence[str]) -> Iterator[Record | Rejected]:
    """Yield ``key`` and ``value`` of each entry, or what ``header`` calls them; the entries of objects are columns.

    ``codepoints`` is the key as files of glyphs are called: its characters' numbers, such as ``1F1E9-1F1EA``.

    Raises:
        ConfigError: a header of other than two names.
        DataError: no JSON object, or a needed column that no entry has.
    """
    header = tuple(source.header or NAMES)
    if len(header) != len(NAMES):
        raise ConfigError(f"data.header: names of key and value are wanted, found {list(header)}")
    if path.stat().st_size > MOST_BYTES:
        raise DataError(f"{path}: larger than the {MOST_BYTES} bytes that an object may have; use JSON lines")
    with open_text(path, encoding=source.encoding, newline="\n") as stream:
        try:
            entries = json.load(stream)
        except ValueError as error:
            raise DataError(f"{path}: no JSON object: {error}") from None
    if not isinstance(entries, dict) or not entries:
        raise DataError(f"{path}: a JSON object with entries is wanted")
    first = next(iter(entries.values()))
    columns = [*first] if isinstance(first, dict) else [header[1]]
    check_columns([header[0], "codepoints", *columns], needed, path)
    for number, (key, value) in enumerate(entries.items(), start=1):
        told = {header[0]: key, "codepoints": "-".join(f"{ord(one):04X}" for one in key)}
        yield Record(
            path.name, number, {**(value if isinstance(value, dict) else {header[1]: value}), **told}
        )
