"""RDF files: N-Triples, N-Quads, Turtle, TriG, RDF/XML, JSON-LD."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from xml.parsers import expat

import pyoxigraph
from pyoxigraph import BlankNode, DefaultGraph, Literal, NamedNode, Quad, RdfFormat, Triple

from llm_lab.data.record import Rejected
from llm_lab.data.text_files import open_binary
from llm_lab.errors import DataError
from llm_lab.knowledge.fact import REIFIES, graph_of
from llm_lab.knowledge.formats.source import GraphSource
from llm_lab.knowledge.names import PREFIXES, iri

RDF = {
    "ntriples": RdfFormat.N_TRIPLES,
    "nquads": RdfFormat.N_QUADS,
    "turtle": RdfFormat.TURTLE,
    "trig": RdfFormat.TRIG,
    "rdfxml": RdfFormat.RDF_XML,
    "jsonld": RdfFormat.JSON_LD,
}
BY_LINE = {"ntriples", "nquads"}
WHOLE = {"rdfxml", "jsonld"}  # one document: after an error nothing of it can be trusted
LINES = 20_000  # parsed together; a block with an error is parsed again line by line
SHOWN = 200  # letters of a statement that is too long
PARTS = ("subject", "predicate", "object")
_PLACE = re.compile(r"Parser error (?:at|between) [\w ]+: ")
SUBJECT, PREDICATE, OBJECT, STATEMENT, RDF_TYPE = (
    iri(f"rdf:{name}") for name in (*PARTS, "Statement", "type")
)


def read_rdf(path: Path, source: GraphSource) -> Iterator[Quad | Rejected]:
    """Yield the quads of a file; of N-Triples each broken line, of Turtle each broken statement is rejected.

    Statements about triples in the old way (``rdf:subject`` and so on), as JSON-LD needs them, become reifiers.

    Raises:
        DataError: RDF/XML or JSON-LD is broken: these are one document; or something is longer than the parser takes.
    """
    form = source.format or ""
    if form == "rdfxml":
        _check_xml(path)
    read = _lines if form in BY_LINE else _statements
    yield from _with_reifiers(_in_graph(read(path, form), source))


def _lines(path: Path, form: str) -> Iterator[Quad | Rejected]:
    with open_binary(path) as stream:
        number = 1
        while block := list(islice(stream, LINES)):
            try:
                yield from list(_parsed(b"".join(block), form))
            except (SyntaxError, MemoryError):
                for line, text in enumerate(block, start=number):
                    yield from _line(text, form, path, line)
            number += len(block)


def _line(text: bytes, form: str, path: Path, number: int) -> Iterator[Quad | Rejected]:
    try:
        yield from list(_parsed(text, form))
    except MemoryError:  # what the parser says of a statement that is longer than its buffer
        yield Rejected(path.name, number, "statement too long", text[:SHOWN].decode("utf-8", "replace"))
    except SyntaxError as error:
        shown = f"{_reason(error)}: {text.decode('utf-8', 'replace').strip()}"
        yield Rejected(path.name, number, "broken statement", shown)


def _parsed(text: bytes, form: str) -> Iterator[Quad]:
    for one in pyoxigraph.parse(text, RDF[form]):
        yield one if isinstance(one, Quad) else Quad(one.subject, one.predicate, one.object)


def _statements(path: Path, form: str) -> Iterator[Quad | Rejected]:
    with open_binary(path) as stream:
        parser = pyoxigraph.parse(
            stream, RDF[form], base_iri=path.absolute().as_uri(), rename_blank_nodes=True
        )
        before = -1
        while True:
            try:
                one = next(parser)
            except StopIteration:
                return
            except MemoryError as error:
                raise DataError(
                    f"{path}: a statement is too long: {error}; N-Triples loses that line only"
                ) from error
            except SyntaxError as error:
                line = int(error.lineno or 0)
                if form in WHOLE:
                    where = f"line {line}: " if line else ""
                    raise DataError(f"{path}: {where}{_reason(error)}") from error
                if line != before:  # one broken statement may be complained of several times
                    yield Rejected(path.name, line, "broken statement", _reason(error))
                before = line
                continue
            yield one


def _check_xml(path: Path) -> None:
    """Refuse a document that ends too early, which the engine takes, or whose entities blow it up, as expat tells."""
    with open_binary(path) as stream:
        try:
            expat.ParserCreate().ParseFile(stream)
        except expat.ExpatError as error:
            raise DataError(f"{path}: line {error.lineno}: {expat.ErrorString(error.code)}") from error


def _reason(error: SyntaxError) -> str:
    """What is wrong at which column; the line is told beside it, and is the parser's own only where it reads all."""
    said = _PLACE.sub("", str(error.msg or error).splitlines()[0])
    return f"column {error.offset}: {said}" if error.offset else said


def _in_graph(found: Iterable[Quad | Rejected], source: GraphSource) -> Iterator[Quad | Rejected]:
    """Put what stands in the default graph into the graph of the source's split."""
    graph = graph_of(source.split)
    for one in found:
        if isinstance(one, Quad) and isinstance(one.graph_name, DefaultGraph) and source.split != "train":
            yield Quad(one.subject, one.predicate, one.object, graph)
        else:
            yield one


def _with_reifiers(found: Iterable[Quad | Rejected]) -> Iterator[Quad | Rejected]:
    """Join ``rdf:subject``, ``rdf:predicate``, ``rdf:object`` of a node into one triple that it reifies."""
    parts: dict[NamedNode | BlankNode | Triple, dict[str, Quad]] = {}
    for one in found:
        if isinstance(one, Quad) and one.predicate in (SUBJECT, PREDICATE, OBJECT):
            parts.setdefault(one.subject, {})[one.predicate.value] = one
        elif isinstance(one, Rejected) or one.object != STATEMENT:
            yield one
    for reifier, said in parts.items():
        terms = [said[key.value].object for key in (SUBJECT, PREDICATE, OBJECT) if key.value in said]
        graph = next(iter(said.values())).graph_name
        if (
            len(terms) == len(PARTS)
            and isinstance(terms[1], NamedNode)
            and isinstance(terms[0], NamedNode | BlankNode)
        ):
            yield Quad(reifier, REIFIES, Triple(terms[0], terms[1], terms[2]), graph)
        else:
            yield from said.values()


def write_rdf(quads: Iterable[Quad], path: Path, form: str) -> None:
    """Write quads in a format; JSON-LD gets statements about triples in the old way, since it knows no other.

    Raises:
        DataError: a name cannot be written in it.
    """
    ready = chain_statements(quads) if form == "jsonld" else quads
    if form not in {"nquads", "trig", "jsonld"}:
        ready = (Quad(one.subject, one.predicate, one.object) for one in ready)
    checked = _checked(ready, form)
    prefixes = {name: base for name, base in PREFIXES.items() if name} | {"kg": PREFIXES[""]}
    pyoxigraph.serialize(checked, str(path), RDF[form], prefixes=prefixes)


def chain_statements(quads: Iterable[Quad]) -> Iterator[Quad]:
    """Take each reified triple apart into ``rdf:subject``, ``rdf:predicate`` and ``rdf:object``."""
    for one in quads:
        if one.predicate != REIFIES or not isinstance(one.object, Triple):
            yield one
            continue
        triple, graph = one.object, one.graph_name
        yield Quad(one.subject, RDF_TYPE, STATEMENT, graph)
        for key, value in ((SUBJECT, triple.subject), (PREDICATE, triple.predicate), (OBJECT, triple.object)):
            yield Quad(one.subject, key, value, graph)


def _checked(quads: Iterable[Quad], form: str) -> Iterator[Quad]:
    """Refuse what the format cannot say: an XML element needs a name."""
    for one in quads:
        tail = one.predicate.value.rstrip("0123456789.-")
        if form == "rdfxml" and not (tail[-1:].isalnum() or tail.endswith("_")):
            raise DataError(f"rdfxml: the relation {one.predicate.value} ends in no XML name; take turtle")
        if form == "rdfxml" and isinstance(one.object, Literal) and _control(one.object.value):
            raise DataError(
                f"rdfxml: XML cannot hold the characters of {one.object.value[:60]!r}; take turtle"
            )
        yield one


def _control(text: str) -> bool:
    return any((letter < " " and letter not in "\t\n\r") or letter in "￾￿" for letter in text)
