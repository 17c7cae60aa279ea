"""One way to read them all: a source becomes a stream of rows and rejections."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from llm_lab import assets
from llm_lab.data.columnar import read_hub, read_parquet
from llm_lab.data.delimited import check_columns, read_delimited
from llm_lab.data.files import read_files, read_pixels
from llm_lab.data.joins import by, chosen, joined
from llm_lab.data.json_rows import read_json
from llm_lab.data.mapping_rows import read_mapping
from llm_lab.data.plain import read_folder, read_lines
from llm_lab.data.record import Record, Rejected
from llm_lab.data.recordings import read_windows
from llm_lab.data.source import Source, nearest
from llm_lab.errors import ConfigError

FileReader = Callable[[Path, Source, Sequence[str]], Iterator[Record | Rejected]]
READERS: dict[str, FileReader] = {
    "csv": read_delimited,
    "tsv": read_delimited,
    "json": read_json,
    "jsonl": read_json,
    "mapping": read_mapping,
    "parquet": read_parquet,
    "text": read_lines,
    "folder": read_folder,
    "files": read_files,
    "pixels": read_pixels,
    "windows": read_windows,
}


OF_FILES = (
    "root",
    "path",
    "pattern",
    "windows",
    "joined",
    "spoken",
    "optional",
    "where",
    "join",
    "by",
)  # without them a source has the hash it always had


def read(source: Source, needed: Sequence[str], *, licence: str = "") -> Iterator[Record | Rejected]:
    """Fetch a source and what is joined to it, and yield its rows.

    Args:
        source: what to read; without a format, a folder is read as ``folder``.
        needed: columns that must be there, the text's first and the label's last.
        licence: of the data, shown before a download.

    Raises:
        AssetError: it cannot be fetched.
        ConfigError: no such format, or none can be told from the name.
        DataError: the file as a whole cannot be used.
    """
    if source.joined is not None or source.spoken is not None:
        return _stepped(source, needed, licence)
    rows = _side_by_side(source, needed, licence) if source.join else _read(source, needed, licence)
    return chosen(rows, source) if source.where else rows


def _side_by_side(source: Source, needed: Sequence[str], licence: str) -> Iterator[Record | Rejected]:
    """The rows with those of the joined sources; any of them may have a needed column."""
    wanted = (*source.optional, *needed, *(source.where or ()))
    keys = [column for part in source.join for column in by(part)]
    rows = _read(replace(source, optional=(*wanted, *keys)), [], licence)
    for part in source.join:
        others = read(replace(part, optional=(*wanted, *keys)), [*by(part).values()], licence=licence)
        rows = joined(rows, part, others)
    return _checked(rows, needed, source)


def _checked(
    rows: Iterator[Record | Rejected], needed: Sequence[str], source: Source
) -> Iterator[Record | Rejected]:
    first = True
    for row in rows:
        if first and isinstance(row, Record):
            check_columns([*row.values], needed, Path(source.uri))
            first = False
        yield row


def _read(source: Source, needed: Sequence[str], licence: str) -> Iterator[Record | Rejected]:
    if source.format == "hub":
        return read_hub(hub_name(source.uri), source, needed, streaming=source.streaming)
    path = assets.resolve(as_uri(source.uri), licence=licence)
    name = source.format or ("folder" if path.is_dir() else None)
    if name is None:
        raise ConfigError(f"data.format: cannot be told from {source.uri}{nearest('', [*READERS, 'hub'])}")
    if name not in READERS:
        raise ConfigError(f"data.format: unknown format `{name}`{nearest(name, [*READERS, 'hub'])}")
    return READERS[name](path, source, needed)


def hub_name(uri: str) -> str:
    """What the library of the hub calls a data set; a local one by its folder."""
    return uri.removeprefix("hf://").removeprefix("file://")


def _stepped(source: Source, needed: Sequence[str], licence: str) -> Iterator[Record | Rejected]:
    """The rows that a step makes of those that are read."""
    from llm_lab.data.multimodal.steps import row_step

    step, plain = row_step(source), replace(source, joined=None, spoken=None)
    assert step is not None  # noqa: S101 - the caller saw one
    return step.rows(read(plain, step.needed(needed), licence=licence))


def as_uri(path: str) -> str:
    """A bare path is a file of this machine."""
    return path if "://" in path else f"file://{path}"


def identity(source: Source) -> dict[str, Any]:
    """What the rows of a source depend on, to be hashed: how it is read, and its contents; of a hub set its name."""
    joins = {"join": {part.name: identity(part) for part in source.join}} if source.join else {}
    told = {
        name: value
        for name, value in vars(source).items()
        if name not in {"uri", "join", "streaming"} and (value or name not in OF_FILES)
    } | joins
    if source.uri.startswith("hf://"):
        return {**told, "uri": source.uri}
    return {**told, "content": assets.fingerprint(as_uri(source.uri))}
