"""What owlrl entails, and that our rules of a schema prove a part of exactly that."""

import pytest

from llm_lab.errors import ConfigError
from llm_lab.knowledge.reasoning.entailment import TYPE, entailed, schema_rules
from llm_lab.knowledge.reasoning.facts import Facts
from llm_lab.knowledge.reasoning.forward import forward
from llm_lab.knowledge.reasoning.program import Program
from llm_lab.knowledge.reasoning.proof import faults, prove
from llm_lab.knowledge.rules.rule import Atom

rdflib = pytest.importorskip("rdflib")
E = "http://example.org/"
TURTLE = """
@prefix : <http://example.org/> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
:Dog rdfs:subClassOf :Mammal . :Mammal rdfs:subClassOf :Animal .
:hasPet rdfs:domain :Person ; rdfs:range :Animal ; owl:inverseOf :petOf .
:marriedTo a owl:SymmetricProperty ; rdfs:subPropertyOf :knows .
:partOf a owl:TransitiveProperty .
:rex a :Dog . :ann :hasPet :rex ; :marriedTo :bob .
:paw :partOf :leg . :leg :partOf :rex .
"""


@pytest.fixture(scope="module")
def graph():
    return rdflib.Graph().parse(data=TURTLE, format="turtle")


def names(graph) -> set[tuple[str, str, str]]:
    return {tuple(map(str, triple)) for triple in graph}


def test_rdfs_knows_classes_and_owl_rl_properties_too(graph):
    rdfs, owl = (names(entailed(graph, semantics)) for semantics in ("rdfs", "owl_rl"))
    assert (E + "rex", TYPE, E + "Animal") in rdfs & owl
    assert (E + "ann", TYPE, E + "Person") in rdfs & owl
    more = {
        (E + "paw", E + "partOf", E + "rex"),
        (E + "bob", E + "marriedTo", E + "ann"),
        (E + "rex", E + "petOf", E + "ann"),
    }
    assert more <= owl and not more & rdfs
    assert not owl & names(graph)


def test_rules_of_the_schema_prove_what_the_reasoner_entails(graph):
    triples = names(graph)
    base = [Atom(predicate, (head, tail)) for head, predicate, tail in triples]
    derived = forward(
        Program(schema_rules(triples), {a.predicate for a in base} | {E + "petOf", E + "knows"}),
        Facts.of(base),
    )
    ours = {
        (*fact.terms[:1], predicate, *fact.terms[1:])
        for predicate in derived.facts.tables
        for fact in derived.facts.atoms(predicate)
        if predicate.startswith(E) or fact.terms[1].startswith(E)
    }
    reference = names(entailed(graph, "owl_rl")) | triples
    assert ours <= reference
    about = {E + name for name in ("rex", "ann", "bob", "paw", "leg")}
    told = {
        t for t in reference if t[0] in about and t[2].startswith(E) and (t[1].startswith(E) or t[1] == TYPE)
    }
    assert told <= ours
    fact = Atom(TYPE, (E + "rex", E + "Animal"))
    assert faults(prove(derived, fact), dict.fromkeys(base, 1.0)) == []


def test_another_semantics_is_refused(graph):
    with pytest.raises(ConfigError, match="one of rdfs, owl_rl, rdfs_owl_rl is wanted, found 'owl'"):
        entailed(graph, "owl")


def test_when_the_time_is_up_a_part_comes_back_and_is_said_to_be_one(graph, caplog):
    part = names(entailed(graph, "owl_rl", seconds=0))
    assert part < names(entailed(graph, "owl_rl"))
    assert [message for message in caplog.messages if "is a part" in message] == [
        "The time of 0 s was up: what follows so far is a part, and more would follow."
    ]
