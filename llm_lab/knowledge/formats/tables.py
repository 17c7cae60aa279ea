"""Tables as graphs: a triple per row, or an entity per row and a relation per column."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

from pyoxigraph import Quad

from llm_lab.config.nearest import did_you_mean
from llm_lab.data.delimited import check_columns
from llm_lab.data.readers import READERS
from llm_lab.data.record import Record, Rejected, UnusableError
from llm_lab.data.source import SPLIT_NAMES, Source
from llm_lab.data.text_files import open_text
from llm_lab.errors import ConfigError, DataError
from llm_lab.knowledge.fact import LANGUAGE_STRING, STRING, Fact, Value, graph_of, quads
from llm_lab.knowledge.formats.nested import read_nested
from llm_lab.knowledge.formats.said import UNUSABLE, said
from llm_lab.knowledge.formats.source import GraphSource, Relation
from llm_lab.knowledge.names import ALIAS, DOMAIN, LABEL, RANGE, TYPE, iri, node

TRIPLE = ("head", "relation", "tail")
OPTIONAL = ("datatype", "language", "confidence", "source", "split")
SEPARATED = {"csv": ",", "tsv": "\t"}
NUMBERS = {"integer": re.compile(r"[+-]?\d+"), "decimal": re.compile(r"[+-]?\d*\.?\d+")}


def read_table(path: Path, source: GraphSource) -> Iterator[Quad | Rejected]:
    """Yield the facts of a table, as quads: to make them of bare triples at once is several times as fast.

    Raises:
        ConfigError: ``columns`` names what no triple has.
        DataError: a column that is named is not there.
    """
    if _is_bare(path, source):
        return _bare(path, source)
    records = _records(path, source)
    return _entities(records, path, source) if source.subject else _triples(records, source)


def _records(path: Path, source: GraphSource) -> Iterator[Record | Rejected]:
    if source.format in {"json", "python"}:
        return read_nested(path, source)
    columns = _columns(source)
    needed = [columns[name] for name in TRIPLE] if not source.subject else [source.subject]
    how = Source(
        uri=source.uri,
        format=source.format,
        header=source.header or _assumed(path, source, columns),
        encoding=source.encoding,
        delimiter=source.delimiter,
        comment=source.comment,
    )
    return READERS[str(source.format)](path, how, needed)


def _is_bare(path: Path, source: GraphSource) -> bool:
    """Whether a table holds nothing but head, relation and tail between tabs, in this order."""
    known = _columns(source)
    plain = not (source.subject or source.columns or source.header or source.comment or source.provenance)
    return plain and source.format == "tsv" and _assumed(path, source, known) == TRIPLE


def _bare(path: Path, source: GraphSource) -> Iterator[Quad | Rejected]:
    graph, tab = graph_of(source.split), source.delimiter or SEPARATED["tsv"]
    with open_text(path, encoding=source.encoding, newline="\n") as stream:
        for number, line in enumerate(stream, start=1):
            names = [part.strip() for part in line.split(tab)]
            try:
                head, relation, tail = names
                yield Quad(node(head), iri(relation), node(tail), graph)
            except (ValueError, DataError):
                if line.strip():
                    yield Rejected(path.name, number, _fault(names, line), line.rstrip("\n"))


def _fault(names: Sequence[str], line: str) -> str:
    if len(names) != len(TRIPLE):
        return "wrong field count"
    if not all(names):
        return "empty field"
    try:
        _check(line)
    except UnusableError as error:
        return error.reason
    return UNUSABLE


def _columns(source: GraphSource) -> dict[str, str]:
    """Names of the columns of a table of triples, by their part."""
    for unknown in (source.columns or {}).keys() - {*TRIPLE, *OPTIONAL}:
        near = did_you_mean(str(unknown), [*TRIPLE, *OPTIONAL])
        raise ConfigError(f"graph.{source.name}.columns.{unknown}: a triple has no such part; {near}")
    return {name: name for name in (*TRIPLE, *OPTIONAL)} | dict(source.columns or {})


def _assumed(path: Path, source: GraphSource, columns: Mapping[str, str]) -> Sequence[str] | None:
    """Head, relation, tail for a table of triples whose first line does not name them."""
    if source.subject or source.columns or source.format not in SEPARATED:
        return None
    with open_text(path, encoding=source.encoding, newline="\n") as stream:
        first = stream.readline().rstrip("\r\n").split(source.delimiter or SEPARATED[source.format])
    named = {name.strip().strip('"') for name in first}
    return None if {columns[name] for name in TRIPLE} <= named else TRIPLE


def _triples(records: Iterator[Record | Rejected], source: GraphSource) -> Iterator[Quad | Rejected]:
    columns = _columns(source)
    for record in records:
        if isinstance(record, Rejected):
            yield record
            continue
        yield from said(_triple(record.values, columns, source), file=record.file, line=record.line)


def _triple(row: Mapping[str, Any], columns: Mapping[str, str], source: GraphSource) -> Iterator[Fact]:
    head, relation, tail = (_cell(row, columns[name]) for name in TRIPLE)
    may_be_empty = row.get(columns["datatype"]) and row.get(columns["tail"]) is not None
    if not (head and relation and (tail or may_be_empty)):
        raise UnusableError("empty field", f"{head}|{relation}|{tail}")
    if len(row) == len(TRIPLE):
        yield Fact(head, relation, tail, None, source.provenance, source.split)
        return
    datatype, language = _cell(row, columns["datatype"]), _cell(row, columns["language"])
    split = _cell(row, columns["split"]) or source.split
    if split not in SPLIT_NAMES:
        raise UnusableError("unknown split", split)
    value = Value(str(row[columns["tail"]]), datatype or LANGUAGE_STRING, language)
    yield Fact(
        head,
        relation,
        value if datatype or language else tail,
        _confidence(_cell(row, columns["confidence"])),
        _cell(row, columns["source"]) or source.provenance,
        SPLIT_NAMES[split],
    )


def _cell(row: Mapping[str, Any], column: str) -> str:
    value = row.get(column)
    if value is None:
        return ""
    text = value if isinstance(value, str) else str(value)
    if not text.isascii():
        _check(text)
    return text.strip()


def _check(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise UnusableError("wrong encoding", text) from None


def _confidence(text: str) -> float | None:
    if not text:
        return None
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0.0 <= found <= 1.0:
        raise UnusableError("confidence is not in 0 to 1", text)
    return found


def _entities(
    records: Iterator[Record | Rejected], path: Path, source: GraphSource
) -> Iterator[Quad | Rejected]:
    relations = source.relations
    unknown: set[str] = set()
    for number, record in enumerate(records):
        if isinstance(record, Rejected):
            yield record
            continue
        relations = _relations(record.values, source) if relations is None else relations
        if number == 0:
            unknown = {one.column for one in relations.values()} - record.values.keys()
            yield from chain.from_iterable(map(quads, schema(source, relations)))
        unknown -= record.values.keys()
        if any(str(record.values.get(name) or "") != want for name, want in (source.where or {}).items()):
            continue
        yield from said(_entity(record.values, source, relations), file=record.file, line=record.line)
    missing = sorted(name for name in unknown if "." not in name)
    if missing:
        raise DataError(f"{path}: no row has a column `{missing[0]}`")


def _relations(row: Mapping[str, Any], source: GraphSource) -> dict[str, Relation]:
    """Every column that nothing else uses, as a relation to literals."""
    used = {source.subject, *(source.labels or {}).values(), *source.aliases, *(source.where or {})}
    return {name: Relation(column=name, to="auto") for name in row if name not in used}


def inferred(source: GraphSource, *, entities: Sequence[str]) -> GraphSource:
    """The mapping of a table with a column for the subject: some columns lead to entities, the others to literals.

    A column `label` or `name` holds the labels, where it is not one of ``entities``.

    Raises:
        DataError: there is no such column.
    """
    first = next((one for one in _records(Path(source.uri), source) if isinstance(one, Record)), None)
    columns = list(first.values) if first else []
    for name in entities:
        check_columns(columns, [name], Path(source.uri))
    label = next((name for name in ("label", "name") if name in columns and name not in entities), None)
    used = {source.subject, label}
    relations = {
        name: Relation(column=name, to="entity" if name in entities else "auto")
        for name in columns
        if name not in used
    }
    return replace(source, labels={source.language: label} if label else None, relations=relations)


def schema(source: GraphSource, relations: Mapping[str, Relation]) -> Iterator[Fact]:
    """Domain and range of the relations, as far as the mapping says them."""
    for name, how in relations.items():
        if source.type:
            yield Fact(name, DOMAIN, source.type)
        if how.to == "entity" and how.type:
            yield Fact(name, RANGE, how.type)
        elif how.to not in {"entity", "auto"}:
            yield Fact(name, RANGE, f"xsd:{how.to}")


def _entity(row: Mapping[str, Any], source: GraphSource, relations: Mapping[str, Relation]) -> Iterator[Fact]:
    own = _cell(row, str(source.subject))
    if not own:
        raise UnusableError("empty field", f"{source.subject}: {dict(row)}")
    head = source.prefix + own
    yield from _names(head, row, source)
    provenance = row.get(str((source.columns or {}).get("source"))) or source.provenance
    for name, how in relations.items():
        for fact in _tails(head, name, how, row):
            yield Fact(fact.head, fact.relation, fact.tail, None, str(provenance), source.split)
            if how.to == "entity":
                yield from _described(str(fact.tail), how, row, source)


def _names(head: str, row: Mapping[str, Any], source: GraphSource) -> Iterator[Fact]:
    if source.type:
        yield Fact(head, TYPE, source.type, split=source.split)
    for language, column in (source.labels or {}).items():
        if label := _cell(row, column):
            yield _named(head, LABEL, label, language)
    for column in source.aliases:
        for alias in _values(row, column):
            yield _named(head, ALIAS, alias, source.language)
    if source.label_lists:
        yield from _label_list(head, row, source.label_lists)


def _named(head: str, relation: str, text: str, language: str) -> Fact:
    return Fact(head, relation, Value(text, LANGUAGE_STRING if language else STRING, language))


def _label_list(head: str, row: Mapping[str, Any], keys: Mapping[str, str]) -> Iterator[Fact]:
    """The first name of each language is its label, further ones are aliases."""
    seen = set()
    items = row.get(keys["column"]) or []
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        raise UnusableError("labels are no list of objects", f"{keys['column']}: {items!r}")
    for item in items:
        text, language = str(item.get(keys["text"]) or ""), str(item.get(keys["language"]) or "")
        if text and re.fullmatch(r"[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8})*", language):
            yield _named(head, ALIAS if language in seen else LABEL, text, language)
            seen.add(language)


def _described(tail: str, how: Relation, row: Mapping[str, Any], source: GraphSource) -> Iterator[Fact]:
    if how.type:
        yield Fact(tail, TYPE, how.type, split=source.split)
    if how.label and (label := _cell(row, how.label)):
        yield _named(tail, LABEL, label, source.language)


def _tails(head: str, name: str, how: Relation, row: Mapping[str, Any]) -> Iterator[Fact]:
    for value in _values(row, how.column):
        for part in value.split(how.separator) if how.separator else (value,):
            if text := _cut(part.strip(), how.pattern):
                yield Fact(
                    head, name, how.prefix + text if how.to == "entity" else _literal(text, how.to, name)
                )


def _values(row: Mapping[str, Any], column: str) -> Iterator[str]:
    """The texts at a path of names with dots, in lists as well."""
    found: list[Any] = [row.get(column)]
    if found == [None] and "." in column:
        found = [row]
        for step in column.split("."):
            lists = (one if isinstance(one, list) else [one] for one in found)
            found = [item.get(step) for items in lists for item in items if isinstance(item, Mapping)]
    for one in found:
        for value in one if isinstance(one, list) else [one]:
            if value is not None and (text := str(value).strip()):
                _check(text)
                yield text


def _literal(text: str, kind: str, relation: str) -> Value:
    if kind == "auto":
        kind = next((name for name, form in NUMBERS.items() if form.fullmatch(text)), "string")
    elif kind in NUMBERS and not NUMBERS[kind].fullmatch(text):
        raise UnusableError(f"`{relation}` is no {kind}", text)
    return Value(text, f"xsd:{kind}")


@lru_cache(maxsize=64)
def _form(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _cut(text: str, pattern: str | None) -> str:
    if pattern is None:
        return text
    found = _form(pattern).search(text)
    return (found[1] if found.re.groups else found[0]) if found else ""
