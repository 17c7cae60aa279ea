"""What RDF says by its vocabulary: RDFS and OWL 2 RL, by the reasoner of RDFLib's project, and as rules with proofs.

`entailed` asks owlrl for the whole closure. `schema_rules` turns the axioms people write most into rules of ours, so
that what follows from them carries a proof.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal

from llm_lab.errors import ConfigError
from llm_lab.knowledge.rules.rule import Atom, Rule, Variable

if TYPE_CHECKING:
    from rdflib import Graph

Semantics = Literal["rdfs", "owl_rl", "rdfs_owl_rl"]
Named = tuple[str, str, str]
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"
OWL = "http://www.w3.org/2002/07/owl#"
TYPE, SUBCLASS, SUBPROPERTY = f"{RDF}type", f"{RDFS}subClassOf", f"{RDFS}subPropertyOf"
X, Y, Z = Variable("X"), Variable("Y"), Variable("Z")


def entailed(graph: Graph, semantics: Semantics = "owl_rl") -> Graph:
    """The triples that follow and are not there yet; the graph stays as it is.

    Axiomatic triples that every graph has alike (of the vocabulary itself) are left out. Needs memory and time for the
    whole closure: a graph of some ten thousand triples, not of a million.

    Args:
        graph: with its schema.
        semantics: ``rdfs`` (W3C RDF 1.1 Semantics), ``owl_rl`` (OWL 2 RL/RDF rules), or both.

    Raises:
        ConfigError: there is no such semantics.
    """
    import owlrl
    from rdflib import Graph

    classes = {
        "rdfs": owlrl.RDFS_Semantics,
        "owl_rl": owlrl.OWLRL_Semantics,
        "rdfs_owl_rl": owlrl.RDFS_OWLRL_Semantics,
    }
    if semantics not in classes:
        raise ConfigError(f"semantics: one of {', '.join(classes)} is wanted, found {semantics!r}")
    closure, empty = Graph(), Graph()
    for triple in graph:
        closure.add(triple)
    for one in (closure, empty):
        owlrl.DeductiveClosure(classes[semantics], axiomatic_triples=False, datatype_axioms=False).expand(one)
    found = Graph()
    for triple in closure:
        if triple not in graph and triple not in empty:
            found.add(triple)
    return found


def schema_rules(triples: Iterable[Named]) -> tuple[Rule, ...]:
    """The rules that a schema stands for.

    Covers subClassOf, subPropertyOf, domain, range, equivalentClass, equivalentProperty, inverseOf, SymmetricProperty
    and TransitiveProperty. Predicates are those of the triples; a type is a pair of `rdf:type`.
    """
    rules = [Rule(Atom(SUBCLASS, (X, Z)), (Atom(SUBCLASS, (X, Y)), Atom(SUBCLASS, (Y, Z))))]
    rules += [rule for triple in triples for rule in _rules_of(*triple)]
    return tuple(dict.fromkeys(rules))


def _rules_of(subject: str, predicate: str, value: str) -> Iterator[Rule]:
    a, b = (Atom(name, (X, Y)) for name in (subject, value))
    turned = Atom(value, (Y, X))
    match predicate.removeprefix(RDFS).removeprefix(OWL):
        case "subClassOf":
            yield _is_a(subject, value)
        case "equivalentClass":
            yield from (_is_a(subject, value), _is_a(value, subject))
        case "subPropertyOf":
            yield Rule(b, (a,))
        case "equivalentProperty":
            yield from (Rule(b, (a,)), Rule(a, (b,)))
        case "domain":
            yield Rule(Atom(TYPE, (X, value)), (a,))
        case "range":
            yield Rule(Atom(TYPE, (Y, value)), (a,))
        case "inverseOf":
            yield from (Rule(turned, (a,)), Rule(a, (turned,)))
    if predicate == TYPE and value == f"{OWL}SymmetricProperty":
        yield Rule(Atom(subject, (Y, X)), (a,))
    if predicate == TYPE and value == f"{OWL}TransitiveProperty":
        yield Rule(Atom(subject, (X, Z)), (a, Atom(subject, (Y, Z))))


def _is_a(lower: str, upper: str) -> Rule:
    return Rule(Atom(TYPE, (X, upper)), (Atom(TYPE, (X, lower)),))
