"""Names of a graph in texts, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_lab.knowledge.fact import LANGUAGE_STRING, Fact, Value
from llm_lab.knowledge.injection.annotators import Verbalize
from llm_lab.knowledge.injection.lexicon import Lexicon, from_store, read, write
from llm_lab.knowledge.names import ALIAS, LABEL
from llm_lab.knowledge.store import Store


def graph() -> Store:
    store = Store()
    facts = [
        Fact("c/fr", LABEL, Value("France")),
        Fact("c/fr", ALIAS, Value("FRA")),
        Fact("c/fr", "capital", "t/paris"),
    ]
    facts += [Fact("t/paris", LABEL, Value("Paris")), Fact("t/texas", LABEL, Value("Paris"))]
    facts += [
        Fact("c/fr", "neighbour", "c/es"),
        Fact("c/es", "capital", "t/paris"),
        Fact("t/texas", "part_of", "c/us"),
    ]
    store.add(facts)
    return store


def found(lexicon: Lexicon, text: str) -> list[tuple[str, str]]:
    return [(mention.text, lexicon.entries[number].id) for mention, number in lexicon.link(text)]


def test_the_more_usual_of_two_entities_of_one_name_is_meant():
    assert found(from_store(graph(), most=2), "Paris in France") == [("Paris", "t/paris"), ("France", "c/fr")]


def test_ordinary_words_and_abbreviations_are_no_names():
    lexicon = from_store(graph(), most=2)
    assert found(lexicon, "the fra of france") == []
    assert found(lexicon, "Fra or FRA") == [("FRA", "c/fr")]
    relaxed = Lexicon(lexicon.entries, cased=False)
    assert found(relaxed, "the fra of france") == [("fra", "c/fr"), ("france", "c/fr")]


def test_facts_are_in_words_and_the_rarer_tail_comes_first():
    entry = next(one for one in from_store(graph(), most=2).entries if one.id == "c/fr")
    assert set(entry.facts) == {("capital", "Paris"), ("neighbour", "es")}
    assert from_store(graph(), most=0).entries[0].facts == ()


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("zh", {("首都", "巴黎"), ("neighbour", "Spain")}),
        ("en", {("capital", "Paris"), ("neighbour", "Spain")}),
    ],
)
def test_facts_are_told_in_a_language_and_in_english_where_it_has_no_words(
    language: str, told: set[tuple[str, str]]
):
    store = graph()
    words = [
        ("capital", "首都", "zh"),
        ("t/paris", "巴黎", "zh"),
        ("c/es", "Spain", "en"),
        ("c/es", "Espagne", "fr"),
    ]
    store.add(Fact(name, LABEL, Value(text, LANGUAGE_STRING, code)) for name, text, code in words)
    lexicon = from_store(store, most=2, language=language)
    assert {*next(one for one in lexicon.entries if one.id == "c/fr").facts} == told
    assert found(lexicon, "巴黎 in Espagne") == [("巴黎", "t/paris"), ("Espagne", "c/es")]


def test_what_is_written_is_read_again(tmp_path):
    lexicon = from_store(graph(), most=2)
    write(tmp_path, lexicon)
    assert list(read(tmp_path, cased=True, shortest=3).entries) == list(lexicon.entries)


def test_a_run_says_in_which_language_it_tells_facts(tmp_path: Path):
    (tmp_path / "x.ttl").write_text(
        "@prefix : <urn:kg:> . @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .\n"
        ":FR :capital :P . :P rdfs:label 'Paris'@en, '巴黎'@zh .\n"
        ":FR rdfs:label 'France'@en . :capital rdfs:label '首都'@zh .\n",
        encoding="utf-8",
    )
    node = {"licence": "", "graph": {"file": {"uri": f"file://{tmp_path}/x.ttl"}}}
    for language, told in (("zh", "(首都: 巴黎)"), (None, "(capital: Paris)")):
        (found,) = Verbalize(graph=node, language=language).annotate("text", "in France")
        assert found.facts == (told,)
