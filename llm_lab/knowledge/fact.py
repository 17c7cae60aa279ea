"""One statement of a graph, with what is known about it, and the quads that the store keeps of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

from pyoxigraph import BlankNode, DefaultGraph, Literal, NamedNode, Quad, Triple

from llm_lab.config.nearest import did_you_mean
from llm_lab.data.source import SPLIT_NAMES
from llm_lab.data.spec import Split
from llm_lab.errors import DataError
from llm_lab.knowledge.names import META, SPLIT, identifier, iri, name_of, node

STRING, LANGUAGE_STRING = "xsd:string", "rdf:langString"
TRAIN: Split = "train"
REIFIES, CONFIDENCE, SOURCE = iri("rdf:reifies"), NamedNode(f"{META}confidence"), NamedNode(f"{META}source")
ABOUT_TRIPLES = (REIFIES, CONFIDENCE, SOURCE)
DECIMAL = iri("xsd:decimal")
Graph = NamedNode | DefaultGraph


@dataclass(frozen=True, slots=True)
class Value:
    """A literal: its text, its type (``xsd:integer``), and the language of a text that has one (``en``)."""

    text: str
    datatype: str = STRING
    language: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """A triple of identifiers, or with a literal as its tail.

    Attributes:
        confidence: from 0 to 1; None where nobody says.
        source: where it comes from: a file, a reference, the text that it was read in; empty where nobody says.
        split: ``train``, ``val`` or ``test``.

    Raises:
        DataError: the confidence is not in 0 to 1.
    """

    head: str
    relation: str
    tail: str | Value
    confidence: float | None = None
    source: str = ""
    split: str = TRAIN

    def __post_init__(self) -> None:
        if self.confidence is not None and not 0.0 <= self.confidence <= 1.0:
            place = f"{self.head} {self.relation} {self.tail}"
            raise DataError(f"{place}: the confidence is {self.confidence}, and 0 to 1 is wanted")


def quads(fact: Fact) -> Iterator[Quad]:
    """The quad of the triple, and those of its evidence: a reifier (RDF 1.2) per triple and source."""
    found = Quad(node(fact.head), iri(fact.relation), term(fact.tail), graph_of(fact.split))
    yield found
    if fact.confidence is not None or fact.source:
        yield from evidence(found, fact.source, fact.confidence)


def evidence(found: Quad, source: str, confidence: float | None = None) -> Iterator[Quad]:
    """The quads that say where a quad comes from, and how sure it is."""
    triple, graph = found.triple, found.graph_name
    reifier = NamedNode(META + blake2b(f"{triple}{source}".encode(), digest_size=12).hexdigest())
    yield Quad(reifier, REIFIES, triple, graph)
    if confidence is not None:
        yield Quad(reifier, CONFIDENCE, Literal(f"{confidence:.6f}", datatype=DECIMAL), graph)
    if source:
        yield Quad(reifier, SOURCE, Literal(source), graph)


def term(tail: str | Value) -> NamedNode | BlankNode | Literal:
    """The RDF term of a tail."""
    if isinstance(tail, str):
        return node(tail)
    if tail.language:
        return Literal(tail.text, language=tail.language)
    return Literal(tail.text, datatype=iri(tail.datatype))


def tail_of(found: NamedNode | BlankNode | Literal | Triple) -> str | Value:
    """The tail of an RDF term; a triple that is one is shown as text."""
    if isinstance(found, Literal):
        return Value(found.value, name_of(found.datatype.value), found.language or "")
    return identifier(found)


@lru_cache(maxsize=8)
def graph_of(split: str) -> Graph:
    """The graph that holds a split: the default graph holds ``train``."""
    return DefaultGraph() if split == TRAIN else NamedNode(SPLIT + split)


def split_of(graph: Graph | BlankNode) -> Split | None:
    """The split that a graph holds; None of a graph that is none of ours.

    Raises:
        DataError: its name is that of a split which there is not.
    """
    if isinstance(graph, DefaultGraph):
        return TRAIN
    if not graph.value.startswith(SPLIT):
        return None
    name = graph.value.removeprefix(SPLIT)
    if name not in SPLIT_NAMES:
        near = did_you_mean(name, SPLIT_NAMES, form=f"{SPLIT}{{}}")
        raise DataError(f"the graph {graph.value} names no split; {near}")
    return SPLIT_NAMES[name]
