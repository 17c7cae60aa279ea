"""Read folders of files, a row each, and tables of pixels, a picture each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from llm_lab.data.delimited import check_columns
from llm_lab.data.record import Record, Rejected
from llm_lab.data.source import Source
from llm_lab.data.text_files import open_text
from llm_lab.errors import ConfigError, DataError


def read_files(path: Path, source: Source, needed: Sequence[str]) -> Iterator[Record | Rejected]:
    """Yield a row per file below a folder: ``file`` is its path, ``folder`` the name of the folder it lies in.

    Files that ``pattern`` does not match as a whole are left out; its named groups are further columns.

    Raises:
        ConfigError: the pattern is no regular expression.
        DataError: the folder holds no such file, or the pattern does not give a needed column.
    """
    try:
        pattern = re.compile(source.pattern or ".*")
    except re.error as error:
        raise ConfigError(
            f"data.source.pattern: {source.pattern!r} is no regular expression: {error}"
        ) from None
    check_columns(["file", "folder", *pattern.groupindex], needed, path)
    found = 0
    for file in sorted(entry for entry in path.rglob("*") if entry.is_file() and entry.name[0] != "."):
        name = file.relative_to(path).as_posix()
        if match := pattern.fullmatch(name):
            found += 1
            yield Record(name, 1, {"file": name, "folder": file.parent.name, **match.groupdict()})
    if not found:
        raise DataError(
            f"{path} holds no file" + (f" that {source.pattern!r} matches" if source.pattern else "")
        )


def read_pixels(path: Path, source: Source, needed: Sequence[str]) -> Iterator[Record | Rejected]:
    """Yield a row per line of comma-separated pixel values, 0 to 255: ``image`` is all but the last, ``label`` that.

    Blank lines are skipped. ``line`` is the number of the line, by which rows can be told apart.

    Raises:
        DataError: a column is needed that there is not.
    """
    check_columns(["image", "label", "line"], needed, path)
    with open_text(path, encoding=source.encoding, newline="\n") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            *cells, label = line.strip().split(source.delimiter or ",")
            try:
                values = np.array(cells, np.float32)
            except ValueError:
                yield Rejected(path.name, number, "pixels that are no numbers", line)
                continue
            yield Record(path.name, number, {"image": values, "label": label.strip(), "line": number})
