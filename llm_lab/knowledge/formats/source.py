"""One file of a graph: where it lies, in which format, and how its columns become facts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from llm_lab.config.described import check_described
from llm_lab.config.nearest import did_you_mean
from llm_lab.data.source import PACKED, SPLIT_NAMES
from llm_lab.data.spec import Split
from llm_lab.errors import ConfigError

SUFFIXES = {
    ".nt": "ntriples", ".ntriples": "ntriples", ".ttl": "turtle", ".turtle": "turtle", ".n3": "turtle",
    ".rdf": "rdfxml", ".owl": "rdfxml", ".xml": "rdfxml", ".jsonld": "jsonld", ".obo": "obo",
    ".nq": "nquads", ".trig": "trig",
    ".tsv": "tsv", ".tab": "tsv", ".txt": "tsv", ".csv": "csv", ".json": "json", ".jsonl": "jsonl",
    ".ndjson": "jsonl", ".parquet": "parquet", ".py": "python",
}  # fmt: skip
XSD = (
    "string", "boolean", "decimal", "integer", "double", "float", "date", "time", "dateTime", "dateTimeStamp", "gYear",
    "gMonth", "gDay", "gYearMonth", "gMonthDay", "duration", "yearMonthDuration", "dayTimeDuration", "byte", "short",
    "int", "long", "unsignedByte", "unsignedShort", "unsignedInt", "unsignedLong", "positiveInteger", "negativeInteger",
    "nonNegativeInteger", "nonPositiveInteger", "hexBinary", "base64Binary", "anyURI", "language", "normalizedString",
    "token", "NMTOKEN", "Name", "NCName",
)  # fmt: skip
KINDS = ("entity", "auto", *XSD)
LANGUAGE = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")  # BCP 47, as far as RDF looks at it
LABEL_LISTS = {"column", "text", "language"}
FORMATS = tuple(dict.fromkeys(SUFFIXES.values()))


@dataclass(frozen=True, kw_only=True)
class Relation:
    """How a column becomes facts of one relation.

    Attributes:
        column: name of the column; dots step into objects and lists, ``symbols.currency``.
        to: ``entity``, the XSD type of a literal (``string``, ``integer``, ``decimal``, ``date``, ...), or ``auto`` for
            a number where it looks like one, and else a text.
        separator: what parts several values in one cell.
        pattern: regular expression of the part of a value that counts; its first group where it has one.
        prefix: put before an identifier, so that the ids of two kinds do not meet.
        type: class of the tails.
        label: column with their labels.
    """

    column: str
    to: str = "entity"
    separator: str | None = None
    pattern: str | None = None
    prefix: str = ""
    type: str = ""
    label: str | None = None


@dataclass(frozen=True, kw_only=True)
class GraphSource:
    """One file.

    A table without ``subject`` holds a triple per row, in the columns that ``columns`` names: ``head``,
    ``relation``, ``tail``, and, where they are there, ``datatype``, ``language``, ``confidence``, ``source``,
    ``split``. One with a ``subject`` holds an entity per row, and each other column is a relation.

    Attributes:
        uri: what ``llm_lab.assets.resolve`` takes; a bare path is a ``file://``.
        name: in the configuration.
        format: one of ``FORMATS``; None tells it from the suffix.
        split: the split of its facts.
        provenance: source of each of its facts; for a table, unless a column names it.
        language: of its labels that say none.
        header: names of the columns of a table that has no header row.
        comment: what a line of a table begins with that does not count.
        encoding: of text.
        delimiter: of a table.
        rows: path to the rows in JSON or a Python literal: ``*`` for every element, ``{name}`` for every element,
            its key kept as the column ``name``, anything else a key: ``INDICES.{index}.companies.*``.
        columns: see above.
        where: column -> the only value that a row may have there.
        subject: column of the identifier of a row's entity.
        prefix: put before it.
        type: its class.
        labels: language -> column.
        label_lists: column of a list of objects with a label each, and their keys: ``{column, text, language}``.
        aliases: columns of further names; a list has several.
        relations: relation -> column, or a ``Relation``; None makes a literal of every column that is not used.
    """

    uri: str
    name: str = ""
    format: str | None = None
    split: Split = "train"
    provenance: str = ""
    language: str = "en"
    header: Sequence[str] | None = None
    comment: str | None = None
    encoding: str = "utf-8"
    delimiter: str | None = None
    rows: str | None = None
    columns: Mapping[str, str] | None = None
    where: Mapping[str, str] | None = None
    subject: str | None = None
    prefix: str = ""
    type: str = ""
    labels: Mapping[str, str] | None = None
    label_lists: Mapping[str, str] | None = None
    aliases: Sequence[str] = ()
    relations: Mapping[str, Relation] | None = None


def parse_graph(graph: str | Mapping[str, Any], key: str = "graph") -> tuple[GraphSource, ...]:
    """Read the `graph` key: a URI, or a mapping from a name to a URI or to the keys of a `GraphSource`.

    A name that names a split gives its facts that split.

    Raises:
        ConfigError: an entry without a URI, an unknown key, split, format or type, a value of a wrong kind.
    """
    if isinstance(graph, str):
        return (_entry("", {"uri": graph}, key),)
    if isinstance(graph.get("uri"), str):
        return (_entry("", graph, key),)
    entries = {name: value for name, value in graph.items() if value is not None}
    if not entries:
        raise ConfigError(f"{key} is empty: give it a URI")
    return tuple(
        _entry(name, {"uri": value} if isinstance(value, str) else value, f"{key}.{name}")
        for name, value in entries.items()
    )


def _entry(name: str, entry: Mapping[str, Any], key: str) -> GraphSource:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("uri"), str):
        raise ConfigError(f"{key}: a URI or a mapping that holds `uri` is wanted, found {entry!r}")
    check_described(entry, f"{__name__}.GraphSource", key, without=["name"])
    values = dict(entry)
    split = str(values.get("split") or (name if name in SPLIT_NAMES else "train"))
    if split not in SPLIT_NAMES:
        raise ConfigError(f"{key}.split: unknown split `{split}`; {did_you_mean(split, SPLIT_NAMES)}")
    values["split"] = SPLIT_NAMES[split]
    values["format"] = values.get("format") or format_of(values["uri"], key)
    if values["format"] not in FORMATS:
        near = did_you_mean(values["format"], FORMATS)
        raise ConfigError(f"{key}.format: unknown format `{values['format']}`; {near}")
    _check_languages(values, key)
    if values.get("relations") is not None:
        values["relations"] = {
            relation: _relation(value, f"{key}.relations.{relation}")
            for relation, value in values["relations"].items()
            if value is not None
        }
    return GraphSource(name=name, **values)


def _check_languages(entry: Mapping[str, Any], key: str) -> None:
    """Language tags as RDF has them, and what a list of labels needs."""
    for place, language in (
        (f"{key}.language", entry.get("language", "")),
        *((f"{key}.labels", one) for one in entry.get("labels") or ()),
    ):
        if language and not LANGUAGE.fullmatch(language):
            raise ConfigError(f"{place}: {language!r} is no language tag such as `en` or `pt-BR`")
    lists = entry.get("label_lists")
    if lists is not None and lists.keys() != LABEL_LISTS:
        raise ConfigError(
            f"{key}.label_lists: wants {', '.join(sorted(LABEL_LISTS))}; found {', '.join(lists)}"
        )


def _relation(value: Any, key: str) -> Relation:
    if isinstance(value, str):
        return Relation(column=value)
    check_described(value, f"{__name__}.Relation", key)
    if "column" not in value:
        raise ConfigError(f"{key}: names no `column`")
    found = Relation(**value)
    if found.to not in KINDS:
        raise ConfigError(f"{key}.to: unknown type `{found.to}`; {did_you_mean(found.to, KINDS)}")
    try:
        re.compile(found.pattern or "")
    except re.error as error:
        raise ConfigError(f"{key}.pattern: {found.pattern!r} is no regular expression: {error}") from None
    return found


def format_of(uri: str, key: str = "graph") -> str:
    """The format that the suffix of a URI or a file name tells, a compression suffix aside.

    Raises:
        ConfigError: none is known.
    """
    path = PurePosixPath(uri.partition("#")[0].partition("?")[0])
    suffixes = [one.lower() for one in path.suffixes if one.lower() not in PACKED]
    found = SUFFIXES.get(suffixes[-1]) if suffixes else None
    if found is None:
        raise ConfigError(f"{key}: no format is told by the name {uri}; known: {', '.join(SUFFIXES)}")
    return found
