"""Identifiers of a graph and the IRIs that the store keeps for them."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote, unquote

from pyoxigraph import BlankNode, NamedNode, Triple

from llm_lab.errors import DataError

OURS = "urn:kg:"  # of identifiers that are no IRIs themselves
META = "urn:kg-meta:"  # what the store says about triples
SPLIT = "urn:kg-split:"  # named graphs of the splits other than `train`
PREFIXES = {
    "": OURS,
    "meta": META,
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "owl": "http://www.w3.org/2002/07/owl#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
}
TYPE, SUBCLASS, LABEL = "rdf:type", "rdfs:subClassOf", "rdfs:label"
# Relations whose tails are classes.
INSTANCE_OF = (TYPE, "instance_of", "P31", "http://www.wikidata.org/prop/direct/P31")
ALIAS, DESCRIPTION = "skos:altLabel", "skos:definition"
DESCRIBING = (  # the first that an entity has counts
    DESCRIPTION,
    "rdfs:comment",
    "http://schema.org/description",
    "https://schema.org/description",
    "http://purl.org/dc/terms/description",
)
DOMAIN, RANGE, INVERSE = "rdfs:domain", "rdfs:range", "owl:inverseOf"
SCHEMA = frozenset({DOMAIN, RANGE, INVERSE, "rdfs:subPropertyOf", "rdf:reifies"})
Node = NamedNode | BlankNode

_ILLEGAL = re.compile(r'[\x00-\x20\x7f<>"{}|\\^`%#\[\]]')
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s]|urn:[A-Za-z0-9]")
_LOCAL = re.compile(r"[\w.-]+")
_BLANK = re.compile(r"_:(\w+)")


@lru_cache(maxsize=1 << 18)
def node(name: str) -> Node:
    """The node of an identifier: an IRI as it is, `rdfs:label` and its like expanded, `_:b` a blank node, all
    else under ``urn:kg:``, with what no IRI may hold percent-encoded.

    Raises:
        DataError: the identifier is empty, or holds bytes that could not be decoded.
    """
    if not name:
        raise DataError("an identifier is empty")
    if blank := _BLANK.fullmatch(name):
        return BlankNode(blank[1])
    prefix, colon, local = name.partition(":")
    if colon and prefix and prefix in PREFIXES and _LOCAL.fullmatch(local):
        return NamedNode(PREFIXES[prefix] + local)
    if _ABSOLUTE.match(name):
        try:
            return NamedNode(name)
        except ValueError:
            pass
    try:
        return NamedNode(OURS + _ILLEGAL.sub(lambda found: quote(found[0], safe=""), name))
    except ValueError:  # characters beyond ASCII that no IRI may hold
        try:
            return NamedNode(OURS + quote(name, safe=":/"))
        except UnicodeEncodeError:
            raise DataError(f"the identifier {name!r} is not in the encoding of the file") from None


def iri(name: str) -> NamedNode:
    """The node of a relation or a type; raises DataError for a blank node, which can be neither."""
    found = node(name)
    if isinstance(found, BlankNode):
        raise DataError(f"{name} is a blank node, which is no relation")
    return found


@lru_cache(maxsize=1 << 18)
def name_of(iri: str) -> str:
    """The identifier of an IRI: what `node` was given."""
    if iri.startswith(OURS):
        return unquote(iri.removeprefix(OURS))
    for prefix, base in PREFIXES.items():
        if prefix and iri.startswith(base) and _LOCAL.fullmatch(iri[len(base) :]):
            return f"{prefix}:{iri[len(base) :]}"
    return iri


def identifier(term: Node | Triple) -> str:
    """The identifier of a node; a triple that stands in its place as text."""
    if isinstance(term, Triple):
        return str(term)
    return name_of(term.value) if isinstance(term, NamedNode) else f"_:{term.value}"
