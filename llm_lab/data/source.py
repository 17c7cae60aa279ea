"""Where rows come from: one URI, or a mapping from a name to a URI with its split, label and format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import PurePosixPath
from typing import Any, get_args

from llm_lab.data.spec import Split
from llm_lab.errors import ConfigError

SPLITS: tuple[Split, ...] = get_args(Split)
SPLIT_NAMES: Mapping[str, Split] = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val", "eval": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
SUFFIXES = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json",
    ".parquet": "parquet", ".pq": "parquet", ".txt": "text", ".text": "text",
}  # fmt: skip
PACKED = {".gz", ".bz2", ".xz", ".zst"}


@dataclass(frozen=True, kw_only=True)
class Source:
    """One file, folder or hub data set.

    Attributes:
        uri: what ``llm_lab.assets.resolve`` takes; a bare path is a ``file://``.
        name: name in the configuration, empty for a single source.
        split: the split that all its rows belong to; None where a column or the text's hash decides.
        label: the label of all its rows; None where a column holds it.
        format: csv, tsv, json, jsonl, mapping, parquet, text, folder, files, pixels, windows or hub.
        header: column names of a table that has no header row.
        encoding: text encoding of the file.
        delimiter: what stands between fields; by default a comma in CSV and a tab in TSV.
        quoted: whether double quotes delimit fields; by default in CSV and not in TSV.
        subset: configuration of a hub data set.
        streaming: read a hub data set as it comes, without a copy of its files.
        comment: what a line of a table begins with that does not count.
        root: URI of the folder that paths in cells are relative to; by default the table's own.
        path: makes a path of a cell, which stands in the place of ``{}``.
        pattern: regular expression over the paths of a folder of files; its named groups are columns.
        windows: of recordings: ``length`` and ``stride`` in samples, shares of the latest for ``val`` and ``test``.
        where: column -> regular expression; rows whose cells do not match as a whole are left out.
        join: sources whose columns are put beside those of this one, see `llm_lab.data.joins`.
        by: of a joined source: the column that both have, or this one's column -> that of the joined one.
        joined: draws rows that are several rows, see `llm_lab.data.multimodal.joined.JoinRows`.
        spoken: lets a program speak texts, see `llm_lab.data.multimodal.spoken.SpeakRows`.
        optional: columns that are read where they are there; said by our code, not by a configuration.
    """

    uri: str
    name: str = ""
    split: Split | None = None
    label: str | None = None
    format: str | None = None
    header: Sequence[str] | None = None
    encoding: str = "utf-8"
    delimiter: str | None = None
    quoted: bool | None = None
    subset: str | None = None
    streaming: bool = False
    comment: str | None = None
    root: str | None = None
    path: str | None = None
    pattern: str | None = None
    windows: Mapping[str, float] | None = None
    where: Mapping[str, str] | None = None
    join: tuple[Source, ...] = ()
    by: str | Mapping[str, str] | None = None
    joined: Mapping[str, Any] | None = None
    spoken: Mapping[str, Any] | None = None
    optional: tuple[str, ...] = ()


ENTRY_KEYS = tuple(f.name for f in fields(Source) if f.name not in {"name", "optional"})


def parse_sources(source: str | Mapping[str, Any], **defaults: Any) -> tuple[Source, ...]:
    """Read the ``source`` key: ``URI``, ``{uri: ..., ...}``, or ``{NAME: URI | {uri: ..., ...}}``.

    A NAME that names a split gives its rows that split. ``defaults`` hold for entries that say nothing else.

    Raises:
        ConfigError: an entry without a URI, an unknown key, an unknown split.
    """
    if isinstance(source, str):
        return (_entry("", {"uri": source}, defaults),)
    if "uri" in source:
        return (_entry("", source, defaults),)
    entries = {name: {"uri": value} if isinstance(value, str) else value for name, value in source.items()}
    found = tuple(_entry(name, entry, defaults) for name, entry in entries.items() if entry is not None)
    if not found:
        raise ConfigError("data.source is empty: give it a URI")
    return found


def _entry(name: str, entry: Any, defaults: Mapping[str, Any], *, at: str = "data.source") -> Source:
    key = f"{at}.{name}" if name else at
    if not isinstance(entry, Mapping) or not isinstance(entry.get("uri"), str):
        raise ConfigError(f"{key}: expected a URI or a mapping that holds `uri`, found {entry!r}")
    for unknown in entry.keys() - set(ENTRY_KEYS):
        raise ConfigError(f"{key}.{unknown}: unknown key{nearest(str(unknown), ENTRY_KEYS)}")
    values = {**defaults, **entry}
    values["split"] = _split(values.get("split") or (name if name in SPLIT_NAMES else None), key)
    values["label"] = None if values.get("label") is None else str(values["label"])
    values["format"] = values.get("format") or guess_format(values["uri"])
    values["join"] = tuple(_joined(values.get("join") or {}, f"{key}.join"))
    if values.get("streaming") and values["format"] != "hub":
        raise ConfigError(
            f"{key}.streaming: {values['uri']} is no hub data set, and only such a one is read as it comes"
        )
    return Source(name=name, **values)


def _joined(entries: Mapping[str, Any], key: str) -> Iterator[Source]:
    for name, entry in entries.items():
        if entry is None:
            continue
        source = _entry(name, {"uri": entry} if isinstance(entry, str) else entry, {}, at=key)
        if not source.by:
            raise ConfigError(f"{key}.{name}.by: say by which column its rows are found")
        yield source


def _split(name: str | None, key: str) -> Split | None:
    if name is None:
        return None
    if name not in SPLIT_NAMES:
        raise ConfigError(f"{key}.split: unknown split `{name}`{nearest(name, SPLITS)}")
    return SPLIT_NAMES[name]


def guess_format(uri: str) -> str | None:
    """Format by the suffix of the URI's path, a compression suffix aside; None where it has none."""
    if uri.startswith("hf://"):
        return "hub"
    path = PurePosixPath(uri.partition("#")[0].partition("?")[0])
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in PACKED]
    return SUFFIXES.get(suffixes[-1]) if suffixes else None


def nearest(word: str, names: Sequence[str]) -> str:
    """The end of an error line: the nearest legal name, or all of them where none is near."""
    close = get_close_matches(word, names, n=1, cutoff=0.5)
    return (
        f"; did you mean `{close[0]}`?" if close else f"; there is {', '.join(f'`{n}`' for n in names[:20])}"
    )
