"""Where documents come from: sources as everywhere, with what matters for running text beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, get_args

from llm_lab import assets
from llm_lab.data.columnar import read_hub
from llm_lab.data.readers import as_uri, hub_name, read
from llm_lab.data.record import Record, Rejected
from llm_lab.data.source import SPLIT_NAMES, Source, guess_format, nearest, parse_sources
from llm_lab.data.text_files import open_text
from llm_lab.errors import ConfigError, DataError

Unit = Literal["file", "line", "paragraph"]
UNITS: tuple[Unit, ...] = get_args(Unit)
OWN = ("weight", "document", "text", "replace", "group", "streaming")


@dataclass(frozen=True, kw_only=True)
class CorpusSource:
    """A source of documents.

    Attributes:
        source: file, folder or hub data set.
        weight: share of the training tokens of an epoch; None leaves it as long as it is.
        document: what one document is in a text file: the ``file``, a ``line``, or a ``paragraph`` between blank lines.
        text: columns of a table that make up a document, joined by a blank line.
        replace: regular expressions and what stands in their place.
        group: columns whose equal values, one row after the other, make rows one document.
        streaming: read a hub data set as it comes, without a copy of its files.
    """

    source: Source
    weight: float | None = None
    document: Unit = "file"
    text: tuple[str, ...] = ("text",)
    replace: Mapping[str, str] = field(default_factory=dict)
    group: tuple[str, ...] = ()
    streaming: bool = False

    @property
    def name(self) -> str:
        """Its name in the configuration, or ``corpus`` where it is the only one."""
        return self.source.name or "corpus"


def parse_corpus(
    source: str | Mapping[str, Any],
    *,
    document: Unit,
    text: str | Sequence[str],
    streaming: bool,
    **defaults: Any,
) -> tuple[CorpusSource, ...]:
    """Read the ``source`` key as `parse_sources` does, with the keys of a `CorpusSource` beside the URI.

    Raises:
        ConfigError: an entry that cannot be read, weights for some sources only, or that do not add up to 1.
    """
    single = not isinstance(source, str) and "uri" in source
    entries = {"": source} if isinstance(source, str) or single else dict(source)
    own = {name: _own(entry) for name, entry in entries.items() if entry is not None}
    plain = {name: _rest(entry) for name, entry in entries.items()}
    parsed = parse_sources(plain.get("", plain), **defaults)
    common = {"document": document, "text": text, "streaming": streaming}
    found = tuple(_source(one, {**common, **own[one.name]}) for one in parsed)
    weights = [one.weight for one in found if one.weight is not None]
    if weights and (len(weights) < len(found) or abs(sum(weights) - 1) > 1e-6):  # noqa: PLR2004 - a rounding error
        told = ", ".join(f"{one.name}: {one.weight}" for one in found)
        raise ConfigError(f"data.source: weights of all sources that add up to 1 are wanted, found {told}")
    return found


def _own(entry: Any) -> dict[str, Any]:
    return {key: entry[key] for key in OWN if key in entry} if isinstance(entry, Mapping) else {}


def _rest(entry: Any) -> Any:
    return {k: v for k, v in entry.items() if k not in OWN} if isinstance(entry, Mapping) else entry


def _source(source: Source, own: Mapping[str, Any]) -> CorpusSource:
    key = f"data.source.{source.name}".rstrip(".")
    if own["document"] not in UNITS:
        raise ConfigError(
            f"{key}.document: unknown unit `{own['document']}`{nearest(own['document'], UNITS)}"
        )
    if own.get("weight") is not None and not 0 < own["weight"] <= 1:
        raise ConfigError(f"{key}.weight: a share above 0 and up to 1 is wanted, found {own['weight']}")
    for pattern in own.get("replace") or {}:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ConfigError(f"{key}.replace: {pattern!r} is no regular expression: {error}") from None
    columns = {name: _names(own.get(name) or ()) for name in ("text", "group")}
    return CorpusSource(source=source, **{**own, "replace": dict(own.get("replace") or {}), **columns})


def _names(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def documents(one: CorpusSource, *, licence: str) -> Iterator[Record | Rejected]:
    """Fetch a source and yield its documents under the column ``text``; of a hub data set with their ``split``.

    Raises:
        AssetError: it cannot be fetched.
        DataError: a folder without files, or a file that cannot be read.
    """
    patterns = [(re.compile(pattern), by) for pattern, by in one.replace.items()]
    for record in _read(one, licence=licence):
        if isinstance(record, Record) and isinstance(text := record.values["text"], str):
            for pattern, by in patterns:
                text = pattern.sub(by, text)
            yield Record(record.file, record.line, {**record.values, "text": text})
        else:
            yield record


def _read(one: CorpusSource, *, licence: str) -> Iterator[Record | Rejected]:
    if one.source.format == "hub":
        rows = read_hub(
            hub_name(one.source.uri), one.source, [*one.text, *one.group], streaming=one.streaming
        )
        yield from _joined(one, rows)
        return
    path = assets.resolve(as_uri(one.source.uri), licence=licence)
    for file in _files(path) if path.is_dir() else [path]:
        kind = one.source.format if one.source.format not in {None, "folder"} else guess_format(file.name)
        if kind in {None, "text"}:
            yield from _texts(file, path, one)
        else:
            told = replace(one.source, uri=str(file), format=kind)
            yield from _joined(one, read(told, [*one.text, *one.group]))


def _files(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path.name[0] != ".")
    if not found:
        raise DataError(f"{folder}: no file in this folder")
    return found


def _texts(file: Path, root: Path, one: CorpusSource) -> Iterator[Record]:
    name = str(file.relative_to(root)) if file != root else file.name
    with open_text(
        file, encoding=one.source.encoding, newline="\n" if one.document != "file" else ""
    ) as stream:
        if one.document == "file":
            yield Record(name, 1, {"text": stream.read()})
            return
        if one.document == "line":
            yield from (Record(name, n, {"text": t}) for n, t in enumerate(stream, 1) if t.strip())
            return
        lines = enumerate(stream, start=1)
        for blank, group in groupby(lines, key=lambda line: not line[1].strip()):
            if not blank:
                part = list(group)
                yield Record(name, part[0][0], {"text": "".join(text for _, text in part)})


def _joined(one: CorpusSource, rows: Iterator[Record | Rejected]) -> Iterator[Record | Rejected]:
    """Rows of a table as documents: text columns joined by a blank line, rows of one group by a line break."""
    if not one.group:
        yield from (_document([row], one) if isinstance(row, Record) else row for row in rows)
        return
    for key, group in groupby(rows, key=lambda row: _key(row, one.group)):
        if key is None:
            yield from group
        else:
            yield _document([row for row in group if isinstance(row, Record)], one)


def _key(row: Record | Rejected, group: Sequence[str]) -> tuple[Any, ...] | None:
    return tuple(row.values.get(name) for name in group) if isinstance(row, Record) else None


def _document(rows: Sequence[Record], one: CorpusSource) -> Record:
    cells = [[row.values.get(name) for name in one.text] for row in rows]
    odd = [cell for row in cells for cell in row if cell is not None and not isinstance(cell, str)]
    text = odd[0] if odd else "\n".join("\n\n".join(cell for cell in row if cell) for row in cells)
    split = {"split": SPLIT_NAMES[rows[0].values["split"]]} if one.source.format == "hub" else {}
    return Record(rows[0].file, rows[0].line, {"text": text, **split})
