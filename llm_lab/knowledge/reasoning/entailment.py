"""What RDF says by its vocabulary: RDFS and OWL 2 RL, by the reasoner of RDFLib's project, and as rules with proofs.

`entailed` asks owlrl for the whole closure. `schema_rules` turns the axioms people write most into rules of ours, so
that what follows from them carries a proof.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, cast

from llm_lab.errors import ConfigError
from llm_lab.knowledge.rules.rule import Atom, Rule, Variable

if TYPE_CHECKING:
    from rdflib import Graph

    from llm_lab.knowledge.store import Store

log = logging.getLogger(__name__)
SECONDS = 600.0  # of wall time
Semantics = Literal["rdfs", "owl_rl", "rdfs_owl_rl"]
Named = tuple[str, str, str]
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"
OWL = "http://www.w3.org/2002/07/owl#"
VOCABULARIES = (RDF, RDFS, OWL, "http://www.w3.org/2001/XMLSchema#")
TYPE, SUBCLASS, SUBPROPERTY = f"{RDF}type", f"{RDFS}subClassOf", f"{RDFS}subPropertyOf"
X, Y, Z = Variable("X"), Variable("Y"), Variable("Z")


def entailed(graph: Graph, semantics: Semantics = "owl_rl", *, seconds: float = SECONDS) -> Graph:
    """The triples that follow and are not there yet; the graph stays as it is.

    What is said about the vocabulary itself is left out (`rdf:type` is a property), and what every graph has alike.
    Needs memory and time for the whole closure: a graph of some ten thousand triples, not of a million. Where the time
    is up, what was found so far comes back, and a warning says that it is a part.

    Args:
        graph: with its schema.
        semantics: ``rdfs`` (W3C RDF 1.1 Semantics), ``owl_rl`` (OWL 2 RL/RDF rules), or both.
        seconds: when to stop.

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
    kind = _limited(classes[semantics], seconds)
    for one in (closure, empty):
        owlrl.DeductiveClosure(kind, axiomatic_triples=False, datatype_axioms=False).expand(one)
    if kind.late:
        log.warning("The time of %g s was up: what follows so far is a part, and more would follow.", seconds)
    found = Graph()
    for triple in closure:
        if triple not in graph and triple not in empty and not str(triple[0]).startswith(VOCABULARIES):
            found.add(triple)
    return found


def _limited(kind: Any, seconds: float) -> Any:
    """A reasoner whose rounds do nothing more when the time is up, so that it comes to its end."""
    deadline = monotonic() + seconds

    class Limited(kind):
        late = False

        def rules(self, triple: Any, cycle: int) -> None:
            if monotonic() > deadline:
                Limited.late = True
            else:
                super().rules(triple, cycle)

    return Limited


def follow(store: Store, output: Path, *, semantics: str = "owl_rl", form: str | None = None) -> int:
    """Write what follows from a graph's training split and is not there yet; returns how many facts that is.

    What is no relation between two entities, or the value of one, is left out (that a text is of its own type).

    Args:
        store: the graph, with its schema.
        output: a file of any format that a graph is written into.
        semantics: see `entailed`.
        form: of the file, where its suffix tells another.
    """
    from rdflib import Graph, URIRef

    from llm_lab.knowledge.formats.source import parse_graph
    from llm_lab.knowledge.formats.write import write
    from llm_lab.knowledge.load import load
    from llm_lab.knowledge.store import Store

    with TemporaryDirectory() as folder:
        file, more = Path(folder, "graph.nt"), Path(folder, "more.nt")
        write(store, file, form="ntriples")
        found = entailed(Graph().parse(file, format="nt"), cast("Semantics", semantics))
        for triple in [one for one in found if not isinstance(one[0], URIRef)]:
            found.remove(triple)
        found.serialize(more, format="nt", encoding="utf-8")
        new = Store()
        load(new, parse_graph({"more": {"uri": f"file://{more}"}}), rejected=Path(folder, "rejected.jsonl"))
        return write(new, output, form=form).facts


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
