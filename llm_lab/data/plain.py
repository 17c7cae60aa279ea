"""Read texts that stand alone: a line each in a file, or a file each in a folder per label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from llm_lab.data.record import Record, Rejected
from llm_lab.data.source import Source
from llm_lab.data.text_files import open_text
from llm_lab.errors import DataError


def read_lines(path: Path, source: Source, needed: Sequence[str]) -> Iterator[Record | Rejected]:
    """Yield a row per line, under the name of the first needed column; blank lines are skipped."""
    with open_text(path, encoding=source.encoding, newline="\n") as stream:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                yield Record(path.name, number, {needed[0]: line.rstrip("\r\n")})


def read_folder(path: Path, source: Source, needed: Sequence[str]) -> Iterator[Record | Rejected]:
    """Yield a row per file: its content under the first needed column, its folder's name as the label.

    Raises:
        DataError: the folder has no folders with files in them.
    """
    if not path.is_dir():
        raise DataError(
            f"{path} is not a folder: format `folder` wants a folder per label, a text file per row"
        )
    found = False
    label_column = needed[-1]
    for label in sorted(
        entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    ):
        for file in sorted(entry for entry in label.iterdir() if entry.is_file() and entry.name[0] != "."):
            found = True
            with open_text(file, encoding=source.encoding, newline="") as stream:
                yield Record(
                    f"{label.name}/{file.name}", 1, {label_column: label.name, needed[0]: stream.read()}
                )
    if not found:
        raise DataError(
            f"{path} holds no text: format `folder` wants a folder per label, a text file per row"
        )
