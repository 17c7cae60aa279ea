"""What a query may do, and its answers as plain values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pyoxigraph import (
    BlankNode,
    Literal,
    NamedNode,
    QueryBoolean,
    QuerySolutions,
    QueryTriples,
    Triple,
)

from llm_lab.errors import DataError
from llm_lab.knowledge.names import identifier

_QUOTED = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"""|\'\'\'(?:[^\'\\]|\\.|\'(?!\'\'))*\'\'\''
    r"|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|<[^<>\s]*>|#[^\n]*",
    re.DOTALL,
)
_UPDATE = re.compile(
    r"(?:^|[;}\s])(INSERT|DELETE|LOAD|CLEAR|DROP|CREATE|COPY|MOVE|ADD)(?![\w:-])", re.IGNORECASE
)
_PREFIX = re.compile(r"\b(?:PREFIX\s+[\w.-]*:|BASE)\s*", re.IGNORECASE)
_READS = re.compile(r"\s*(SELECT|ASK|CONSTRUCT|DESCRIBE)\b", re.IGNORECASE)
_SERVICE = re.compile(r"(?<![\w:?$-])SERVICE(?![\w:-])", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The answers to a query: names of the columns, and a row of texts per answer, empty where unbound."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[str, ...]]


def check_query(text: str) -> None:
    """Let only queries pass that read this store.

    Raises:
        DataError: the text is an update, or asks another server.
    """
    bare = _PREFIX.sub(" ", _QUOTED.sub(" ", text))
    if not _READS.match(bare) and (found := _UPDATE.search(bare)):
        raise DataError(
            f"SPARQL: {found[1].upper()} changes the graph, which is open for reading only; "
            "open it for writing (Store(path=...).update) or build another one (`graph build`)"
        )
    if _SERVICE.search(bare):
        raise DataError("SPARQL: SERVICE asks another server, which is refused: only this graph is queried")


def answers(found: QuerySolutions | QueryTriples | QueryBoolean) -> Answers:
    """The answers of the engine as texts: identifiers of nodes, values of literals."""
    if isinstance(found, QueryBoolean):
        return Answers(columns=("answer",), rows=iter([("true" if found else "false",)]))
    if isinstance(found, QueryTriples):
        rows = (_row((one.subject, one.predicate, one.object)) for one in found)
        return Answers(columns=("head", "relation", "tail"), rows=rows)
    columns = tuple(variable.value for variable in found.variables)
    return Answers(columns=columns, rows=(_row(tuple(one)) for one in found))


def _row(terms: Sequence[NamedNode | BlankNode | Literal | Triple | None]) -> tuple[str, ...]:
    return tuple(_text(term) for term in terms)


def _text(term: NamedNode | BlankNode | Literal | Triple | None) -> str:
    if term is None:
        return ""
    if isinstance(term, Literal):
        return term.value
    return identifier(term)
