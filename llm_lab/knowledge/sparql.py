"""What a query may do, and its answers as plain values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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

Terms = tuple[NamedNode | BlankNode | Literal | Triple | None, ...]

ASIDE = (  # texts and comments
    r'"""(?:[^"\\]|\\.|"(?!""))*"""|\'\'\'(?:[^\'\\]|\\.|\'(?!\'\'))*\'\'\''
    r"|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|#[^\n\r]*"
)
INSIDE = r"[^<>\"{}|^`\s]*"  # of an address
_QUOTED = re.compile(rf"{ASIDE}|<{INSIDE}>", re.DOTALL)
_UPDATE = re.compile(
    r"(?:^|[;}\s])(INSERT|DELETE|LOAD|CLEAR|DROP|CREATE|COPY|MOVE|ADD)(?![\w:-])", re.IGNORECASE
)
_PREFIX = re.compile(r"\b(?:PREFIX\s+[\w.-]*:|BASE)\s*", re.IGNORECASE)
_READS = re.compile(r"\s*(SELECT|ASK|CONSTRUCT|DESCRIBE)\b", re.IGNORECASE)
_BLANK = r"(?:\s|#[^\n\r]*+)*+"
_ADDRESS = r"(?:<[^>]*>|[?$][^\s{]+|[^\s:{]*:[^\s{]*)"
# Looked for in the query as it stands, texts and comments included: to tell those apart one would have to agree with
# the engine's parser in everything, and that takes `1SERVICE:x{` too. Variables are passed over: `?service ?x {`.
_SERVICE = re.compile(rf"[?$]\w+|(SERVICE){_BLANK}(?:SILENT{_BLANK})?{_ADDRESS}{_BLANK}\{{", re.IGNORECASE)

_LOAD = re.compile(rf"(?<![\w?$:-])LOAD{_BLANK}(?:SILENT{_BLANK})?(?:<|[^\s:]*:)", re.IGNORECASE)


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
    refuse_services(text)


def refuse_services(text: str) -> None:
    """Raise DataError for a text that asks another server, be it in a comment."""
    if any(found[1] for found in _SERVICE.finditer(text)):
        raise DataError("SPARQL: SERVICE asks another server, which is refused: only this graph is queried")


def refuse_loads(text: str) -> None:
    """Raise DataError for an update that fetches an address, be it in a comment."""
    if _LOAD.search(text):
        raise DataError("SPARQL: LOAD asks another server, which is refused: `graph build` reads files")


@contextmanager
def told() -> Iterator[None]:
    """What the engine complains of becomes one line, raised as DataError."""
    try:
        yield
    except (SyntaxError, ValueError, RuntimeError, OSError) as error:
        raise DataError(f"SPARQL: {(str(error).splitlines() or [type(error).__name__])[0]}") from error


def answers(found: QuerySolutions | QueryTriples | QueryBoolean) -> Answers:
    """The answers of the engine as texts: identifiers of nodes, values of literals; reading may raise DataError."""
    if isinstance(found, QueryBoolean):
        return Answers(columns=("answer",), rows=iter([("true" if found else "false",)]))
    if isinstance(found, QueryTriples):
        columns = ("head", "relation", "tail")
        return Answers(columns=columns, rows=_rows((one.subject, one.predicate, one.object) for one in found))
    return Answers(columns=tuple(one.value for one in found.variables), rows=_rows(map(tuple, found)))


def _rows(found: Iterable[Terms]) -> Iterator[tuple[str, ...]]:
    with told():  # the engine works while the rows are read
        for terms in found:
            yield tuple(_text(term) for term in terms)


def _text(term: NamedNode | BlankNode | Literal | Triple | None) -> str:
    if term is None:
        return ""
    if isinstance(term, Literal):
        return term.value
    return identifier(term)
