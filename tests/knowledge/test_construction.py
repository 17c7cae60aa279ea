"""Names in texts become entities, words become relations, tables become graphs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_lab.data.path_questions import PathQuestion, learn, read_questions, tags
from llm_lab.data.record import Rejected
from llm_lab.knowledge.construction.canonical import canonical
from llm_lab.knowledge.construction.linker import Linker, describe
from llm_lab.knowledge.construction.mentions import AliasIndex
from llm_lab.knowledge.construction.paths import relation_path
from llm_lab.knowledge.construction.texts import TextFacts, spoken_in
from llm_lab.knowledge.fact import Fact, Value
from llm_lab.knowledge.store import Store
from tests.conftest import SHARED

needs_questions = pytest.mark.skipif(not (SHARED / "pathquestion").is_dir(), reason="needs shared/data")


def label(name: str, text: str) -> Fact:
    return Fact(name, "rdfs:label", Value(text, "rdf:langString", "en"))


@pytest.fixture
def store() -> Store:
    made = Store()
    made.add(
        [
            label("Q90", "Paris"),
            label("Q167646", "Paris"),
            label("Q142", "France"),
            label("Q41421", "Queen Anne of Denmark"),
            Fact("Q90", "capital_of", "Q142"),
            Fact("Q90", "twin_of", "Q220"),
            Fact("Q167646", "abducted", "Q173880"),
            label("Q173880", "Helen of Troy"),
        ]
    )
    return made


def test_the_longest_name_wins_and_places_are_those_of_the_text(store: Store) -> None:
    index = AliasIndex(aliases=[*store.aliases(), ("Anne", "Q1"), ("of", "Q2")])
    found = index.find("QUEEN anne  of_Denmark's France, or Anne of nowhere?")
    assert [(one.text, one.candidates) for one in found] == [
        ("QUEEN anne  of_Denmark", ("Q41421",)),
        ("France", ("Q142",)),
        ("Anne", ("Q1",)),
    ]


def test_chinese_names_are_found_without_blanks_and_never_nearly() -> None:
    names = [
        ("中国", "Q148"),
        ("中国银行", "Q790068"),
        ("银", "Q1090"),
        ("Tesla", "Q478214"),
        ("北京大学", "Q16952"),
    ]
    index = AliasIndex(aliases=names, near=True)
    found = index.find("昨日中国银行与Tesla在中国签约，南京大学未到。")
    assert [(one.text, one.candidates, one.start) for one in found] == [
        ("中国银行", ("Q790068",), 2),
        ("Tesla", ("Q478214",), 7),
        ("中国", ("Q148",), 13),
    ]


def test_misspelt_names_are_found_where_that_is_asked_for(store: Store) -> None:
    text = "the mother of Queen Anen of Denmark"
    assert AliasIndex(aliases=store.aliases()).find(text) == []
    (found,) = AliasIndex(aliases=store.aliases(), near=True).find(text)
    assert found.candidates == ("Q41421",)
    assert 0.84 <= found.likeness < 1


def test_names_like_some_words_of_a_text_are_proposed(store: Store) -> None:
    index = AliasIndex(aliases=[*store.aliases(), ("fr", "Q142")])
    assert index.like("what is the capital of Frnace ?") == [("france", "Q142")]
    assert index.like("who was Quen Ann of Denmark?")[0] == ("queen anne of denmark", "Q41421")
    assert index.like("why is that so") == []


@given(st.lists(st.text("ab _-'", min_size=1, max_size=6), max_size=6), st.text("ab _-'", max_size=30))
def test_mentions_do_not_overlap_and_stand_where_they_say(names: list[str], text: str) -> None:
    found = AliasIndex(aliases=[(name, name) for name in names]).find(text)
    assert all(text[one.start : one.end] == one.text for one in found)
    assert all(one.end <= other.start for one, other in pairwise(found))


def test_of_two_entities_of_one_name_the_text_decides(store: Store) -> None:
    words = ["capital", "france", "abducted", "helen"]

    def encoder(texts: Sequence[str]) -> np.ndarray:
        counts = np.array([[1e-3 + text.lower().count(word) for word in words] for text in texts], np.float32)
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)

    assert describe(store, "Q90") == "Paris, capital of France, twin of Q220"
    linker = Linker(store=store, encoder=encoder)
    helen, france = "Paris abducted Helen of Troy", "Paris, the capital of France"
    assert [one.entity for one in linker.link(helen)] == ["Q167646", "Q173880"]
    best = linker.link(france)[0]
    assert best.entity == "Q90" and 0.5 < best.confidence <= 1
    usual = Linker(store=store).link(helen)[0]
    assert usual.entity == "Q90" and usual.confidence < 0.9


@pytest.mark.parametrize("relation", ["rdf:type", "P31", "instance_of"])
def test_classes_are_no_entities_unless_that_is_asked_for(store: Store, relation: str) -> None:
    store.add([Fact("Q142", relation, "Q6256"), Fact("Q90", relation, "City"), label("Q6256", "country")])
    text = "France is a country, and Paris a city"
    assert [one.entity for one in Linker(store=store).link(text)] == ["Q142", "Q90"]
    everything = Linker(store=store, classes=True).link(text)
    assert [one.entity for one in everything] == ["Q142", "Q6256", "Q90", "City"]


def test_canonical_names() -> None:
    names = [
        "New York",
        "new york",
        "New-York",
        "New York",
        "Alan Turing",
        "Turing, Alan",
        "Alan Turin",
        "A1 road",
        "A2 road",
    ]
    found = canonical(names)
    assert {found[name] for name in names[:4]} == {"New York"}
    assert len({found[name] for name in names[4:7]}) == 1
    assert found["A1 road"] != found["A2 road"]


def test_a_path_is_read_outwards_from_its_entity() -> None:
    words = "the town of X 's mother 's husband ?".split()
    found = ["O", "B-place", "O", "O", "O", "B-parents", "O", "B-spouse", "O"]
    assert relation_path(found, words.index("X")) == ["parents", "spouse", "place"]


def test_relations_between_linked_entities_carry_confidence_and_source(store: Store, monkeypatch) -> None:
    found = TextFacts(linker=Linker(store=store), tagger=None)
    text = "Queen Anne of Denmark abducted Helen of Troy"
    spoken = spoken_in(text.split(), ["O"] * 4 + ["B-abducted"] + ["O"] * 3, text)
    monkeypatch.setattr(found, "_tagged", lambda texts: (((name, words), spoken) for name, words in texts))
    facts = list(found.facts([("text/1", text)]))
    assert Fact("Q41421", "abducted", "Q173880", 1.0, "text/1") in facts
    assert Fact("text/1", "mentions", "Q41421", 1.0, "text/1") in facts


def test_names_that_only_a_tagger_knows_become_entities(store: Store, monkeypatch) -> None:
    found = TextFacts(linker=None, tagger="x")
    texts = [("1", "Alan Turing"), ("2", "alan turing"), ("3", "Alan Turing")]
    kinds = ["B-person I-person", "B-group I-group", "B-person I-person"]
    tagged = [((n, t), spoken_in(t.split(), k.split(), t)) for (n, t), k in zip(texts, kinds, strict=True)]
    monkeypatch.setattr(found, "_tagged", lambda _: iter(tagged))
    facts = list(found.facts(texts))
    assert Fact("Alan Turing", "rdf:type", "person", 0.6667, "tagger") in facts
    assert Fact("Alan Turing", "skos:altLabel", Value("alan turing")) in facts
    assert {fact.tail for fact in facts if fact.relation == "mentions"} == {"Alan Turing"}


def question(text: str, entity: str, *relations: str) -> PathQuestion:
    return PathQuestion(line=1, words=tuple(text.split()), entity=entity, relations=relations, answer="")


def test_words_are_aligned_with_relations() -> None:
    asked = [
        question(f"the {word} of {name} 's {other}", name, second, first)
        for name in ("ann", "bob")
        for word, first in (("town", "place"), ("job", "work"), ("sex", "gender"))
        for other, second in (("mother", "parents"), ("wife", "spouse"), ("son", "children"))
    ]
    table = learn(asked)
    assert tags(asked[0], table) == ["O", "B-place", "O", "O", "O", "B-parents"]
    assert all(relation_path(tags(one, table), one.place) == list(one.relations) for one in asked)


@needs_questions
def test_the_aligned_tags_give_the_gold_paths_back() -> None:
    every = list(read_questions(SHARED / "pathquestion" / "PQ-2H.txt"))
    assert len(every) == 1908 and not any(isinstance(one, Rejected) for one in every)
    table = learn(every)
    right = sum(relation_path(tags(one, table), one.place) == list(one.relations) for one in every)
    assert right / len(every) > 0.98


@needs_questions
def test_entities_of_questions_are_linked_in_their_graph() -> None:
    from llm_lab.bench.linking import entity_scores

    found = {form: score.shares() for form, score in entity_scores("two_hops", 60, None)}
    assert found["as written"]["recall"] == 1.0
    assert found["as written"]["precision"] > 0.95
    assert found["as people write"]["recall"] > 0.95
    assert found["misspelt"]["recall"] > 0.85
