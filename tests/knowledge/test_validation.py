"""Figures of a graph, and what is odd about it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from llm_lab.knowledge.fact import Fact, Value
from llm_lab.knowledge.leaks import inverses, leaks
from llm_lab.knowledge.names import DOMAIN, RANGE, SUBCLASS, TYPE
from llm_lab.knowledge.statistics import statistics
from llm_lab.knowledge.store import Store
from llm_lab.knowledge.triples import Triples
from llm_lab.knowledge.validation import validate


def made(facts: list[Fact]) -> Store:
    store = Store()
    store.add(facts)
    return store


def test_figures() -> None:
    facts = [Fact(f"p{i}", "born in", "town") for i in range(4)]
    facts += [Fact("p0", TYPE, "Person"), Fact("p0", "age", Value("3", "xsd:integer"))]
    facts += [
        Fact("p0", "rdfs:label", Value("零", "rdf:langString", "zh")),
        Fact("p9", "born in", "t", split="test"),
    ]
    found = statistics(made(facts))
    assert found.facts == {"train": 7, "test": 1}
    assert found.links == {"train": 5, "test": 1}
    assert found.types == {"Person": 1}
    assert found.literals["age", "xsd:integer"] == 1
    assert found.languages == {"zh": 1}
    born = found.relations[0]
    assert (born.relation, born.triples, born.heads, born.tails, born.kind) == ("born in", 5, 5, 2, "n-1")


def kinds(facts: list[Fact]) -> dict[tuple[str, str], int]:
    return {(one.kind, one.place): one.count for one in validate(made(facts))}


def test_domain_and_range_follow_the_classes_above() -> None:
    facts = [
        Fact("capital", DOMAIN, "Place"),
        Fact("capital", RANGE, "City"),
        Fact("Country", SUBCLASS, "Place"),
        Fact("de", TYPE, "Country"),
        Fact("berlin", TYPE, "City"),
        Fact("bob", TYPE, "Person"),
        Fact("de", "capital", "berlin"),
        Fact("bob", "capital", "berlin"),
        Fact("de", "capital", "bob"),
        Fact("de", "capital", "nobody"),
        Fact("people", RANGE, "xsd:integer"),
        Fact("de", "people", Value("many")),
        Fact("berlin", "people", Value("3", "xsd:integer")),
    ]
    assert kinds(facts) == {
        ("no type", "entities"): 1,
        ("outside its domain", "capital: Place"): 1,
        ("outside its range", "capital: City"): 1,
        ("outside its range", "people: xsd:integer"): 1,
        ("inconsistent types", "people: xsd:integer and xsd:string"): 1,
    }


def test_a_split_that_training_gives_away_is_told() -> None:
    facts = [Fact(f"a{i}", "part of", f"b{i}") for i in range(20)]
    facts += [Fact(f"b{i}", "has part", f"a{i}") for i in range(18)]
    facts += [Fact("b18", "has part", "a18", split="test"), Fact("b19", "has part", "new", split="test")]
    facts += [Fact("a0", "part of", "b0", split="test"), Fact("a0", "made by", "b1", split="test")]
    assert kinds(facts) == {
        ("inverse relations", "has part and part of (100%)"): 18,
        ("inverse relations", "part of and has part (90%)"): 18,
        ("duplicate of training", "test"): 1,
        ("inverse in training", "test (50.0%)"): 2,
        ("unseen in training", "test"): 1,
        ("relation unseen in training", "test"): 1,
    }


triples = st.lists(st.tuples(*(st.integers(0, n) for n in (4, 2, 4))), min_size=1, max_size=40, unique=True)


@given(triples, triples)
def test_leaks_are_those_that_a_loop_finds(train: list[tuple[int, ...]], test: list[tuple[int, ...]]) -> None:
    graph = Triples(
        entities=tuple("abcde"),
        relations=tuple("rst"),
        splits={"train": np.array(train, np.int32), "test": np.array(test, np.int32)},
    )
    known = inverses(graph)
    for one in range(3):
        own = [(head, tail) for head, relation, tail in train if relation == one]
        for other in range(3):
            back = sum((tail, other, head) in train for head, tail in own)
            share = back / len(own) if len(own) >= 10 else 0.0
            assert ((one, other) in known) == (share >= 0.8)
    found = leaks(graph, "test")
    assert found.equal == sum(row in train for row in test)
    assert found.reversed_anyhow == sum(any((t, r, h) in train for r in range(3)) for h, _, t in test)
    assert found.reversed == sum(
        any((t, r, h) in train and (own, r) in known for r in range(3)) for h, own, t in test
    )


def test_an_odd_label_is_a_note_and_no_fault() -> None:
    facts = [Fact("a", "rdfs:label", Value("X")), Fact("b", "rdfs:label", Value("x")), Fact("a", "r", "b")]
    (found,) = validate(made(facts))
    assert found.kind == "ambiguous label" and not found.is_fault


def test_literals_that_are_none_of_their_type() -> None:
    texts = {
        "xsd:integer": ("4", "four"),
        "xsd:double": ("1e3", "1,5"),
        "xsd:date": ("2024-02-29", "2024-13-01"),
    }
    facts = [
        Fact("a", kind, Value(text, kind))
        for kind, (good, bad) in texts.items()
        for text in (good, f" {good} ", bad)
    ]
    assert kinds(facts) == {("not of its type", f"{kind}: {kind}"): 1 for kind in texts}
