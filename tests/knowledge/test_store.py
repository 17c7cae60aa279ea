"""The store keeps what it is given, answers queries, and refuses what it should."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Self

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_lab.errors import DataError
from llm_lab.knowledge.fact import Fact, Value
from llm_lab.knowledge.ids import ids
from llm_lab.knowledge.names import TYPE, name_of, node
from llm_lab.knowledge.sparql import answers
from llm_lab.knowledge.store import Evidence, Store

FACTS = [
    Fact("Q64", "capital_of", "Q183", 0.9, "atlas"),
    Fact("Q64", "capital_of", "Q183", 0.5, "a blog"),
    Fact("Q183", "borders", "Q142", split="test"),
    Fact("Q64", "population", Value("3700000", "xsd:integer")),
    Fact("Q183", "rdfs:label", Value("Germany", "rdf:langString", "en")),
    Fact("Q183", "rdfs:label", Value("德国", "rdf:langString", "zh")),
    Fact("Q183", "skos:altLabel", Value("Deutschland", "rdf:langString", "de")),
    Fact("Q64", "rdfs:label", Value("Berlin", "rdf:langString", "en")),
    Fact("Q64", TYPE, "City"),
]


@pytest.fixture
def store() -> Store:
    made = Store()
    made.add(FACTS)
    return made


def test_it_counts_facts_and_not_what_is_said_about_them(store: Store) -> None:
    assert len(store) == 8
    store.add(FACTS)
    assert len(store) == 8


def test_labels_in_several_languages(store: Store) -> None:
    assert store.label("Q183", "zh") == "德国"
    assert store.label("Q183", "fr") in {"Germany", "德国"}
    assert store.label("Q142") == "Q142"
    assert store.labels("en") == {"Q183": "Germany", "Q64": "Berlin"}


def test_confidence_and_source_of_a_triple(store: Store) -> None:
    said = store.evidence(Fact("Q64", "capital_of", "Q183"))
    assert said == [Evidence(source="a blog", confidence=0.5), Evidence(source="atlas", confidence=0.9)]
    assert store.evidence(FACTS[3]) == []
    rows = store.query(
        "SELECT ?c { << :Q64 :capital_of :Q183 >> meta:source 'atlas' ; meta:confidence ?c }"
    ).rows
    assert [float(row[0]) for row in rows] == [0.9]


def test_queries_see_the_training_split_and_name_the_others(store: Store) -> None:
    assert list(store.query("SELECT ?o { :Q183 :borders ?o }").rows) == []
    held = "SELECT ?o { GRAPH <urn:kg-split:test> { :Q183 :borders ?o } }"
    assert list(store.query(held).rows) == [("Q142",)]
    assert list(store.query("ASK { :Q64 a :City }").rows) == [("true",)]


@pytest.mark.parametrize(
    "text",
    [
        "INSERT DATA { :a :b :c }",
        "PREFIX insert: <http://x/> # SELECT\nDELETE WHERE { ?s ?p ?o }",
        "base <http://x/> load <file:///etc/passwd>",
        "WITH <urn:g> DELETE { ?s ?p ?o } WHERE { ?s ?p ?o }",
        "CLEAR ALL",
    ],
)
def test_an_update_is_refused_as_a_query(store: Store, text: str) -> None:
    with pytest.raises(DataError, match="changes the graph, which is open for reading only"):
        store.query(text)
    assert len(store) == 8


@pytest.mark.parametrize(
    "text", ["LOAD <http://127.0.0.1:9/>", "CLEAR ALL;load silent\n<http://127.0.0.1:9/>"]
)
def test_an_update_loads_nothing(text: str) -> None:
    with pytest.raises(DataError, match="LOAD asks another server"):
        Store().update(text)


def test_a_word_in_a_text_is_no_update_and_no_service(store: Store) -> None:
    text = "SELECT ?s { ?s rdfs:label 'INSERT DATA { SERVICE'@en . ?s :service ?o } # DROP ALL"
    assert list(store.query(text).rows) == []


SERVICES = (
    "SELECT * {{ SERVICE <{url}> {{ ?a ?b ?c }} }}",
    "SELECT * {{ service # a word\r silent # {{ :x {{\n<{url}>{{ ?a ?b ?c }} }}",
    "PREFIX :<{url}> SELECT * {{ SERVICE:colon{{ ?a ?b ?c }} }}",
    "PREFIX x:<{url}> SELECT * {{ SERVICEx:y#z\n{{ ?a ?b ?c }} }}",
    "PREFIX x:<{url}> SELECT * {{ SERVICE x:\\#\\'a%20b {{ ?a ?b ?c }} }}",
    "BASE <{url}> SELECT * {{ SERVICESILENT<>{{ ?a ?b ?c }} }}",
    "SELECT * {{ ?s ?p 1SERVICE <{url}digit> {{ ?a ?b ?c }} }}",
    "PREFIX :<{url}> SELECT * {{ ?s ?p trueSERVICE:true {{ ?a ?b ?c }} }}",
    "SELECT * {{ ?s ?p ?o FILTER(1<2)SERVICE?o{{ ?a ?b ?c }}FILTER(3>2) }}",
    "SELECT * {{ ?s ?p ?o FILTER(1 <:b&&'>'=?c) SERVICE <{url}> {{ ?x ?y ?z }} FILTER('a'='b') }}",
    "SELECT * {{ FILTER EXISTS {{ SERVICE <{url}> {{ ?a ?b ?c }} }} }}",
)


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """A server on this machine, and what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_error(500)

        do_GET = do_POST  # noqa: N815 - a name of the library

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}/", asked
        listening.shutdown()


@pytest.mark.parametrize("text", SERVICES)
def test_another_server_is_never_asked(store: Store, server: tuple[str, list[str]], text: str) -> None:
    url, asked = server
    store.add([Fact("Q1", "at", Value("1", "xsd:integer")), Fact("Q1", "at", Value("true", "xsd:boolean"))])
    query = text.format(url=url)
    with pytest.raises(DataError, match="SERVICE asks another server"):
        list(store.query(query).rows)
    with pytest.raises(DataError, match="SERVICE asks another server"):
        store.update(query.replace("SELECT *", "INSERT { ?a ?b ?c } WHERE"))
    assert asked == []


blanks = st.lists(st.sampled_from([" ", "\n", "\t", "# {:}\n", "#<\r"]), max_size=3).map("".join)
before = st.sampled_from(
    ["", "?s ?p 1", "?s ?p true", "?s ?p ?o .", "FILTER(1<2)", "{}", "?s ?p 'a?b'", "?s a :x;."]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=before,
    word=st.sampled_from(["SERVICE", "service", "SerVice"]),
    silent=st.sampled_from(["", "SILENT", "silent"]),
    blanks=st.tuples(blanks, blanks, blanks, blanks),
    place=st.sampled_from(["<{url}>", ":x", "?s", "$p", "rdfs:label"]),
)
def test_no_way_of_writing_it_reaches_a_server(
    server: tuple[str, list[str]], before: str, word: str, silent: str, blanks: tuple[str, ...], place: str
) -> None:
    url, asked = server
    gaps = iter(blanks)
    clause = f"{before}{next(gaps)}{word}{next(gaps)}{silent}{next(gaps)}{place.format(url=url)}{next(gaps)}"
    with pytest.raises(DataError):
        list(Store().query(f"PREFIX :<{url}> SELECT * {{ {clause}{{ ?a ?b ?c }} }}").rows)
    assert asked == []


def test_a_variable_may_be_named_service(store: Store) -> None:
    text = "SELECT ?service ?my_service ?o { ?service ?my_service ?o . { ?service :service ?o } }"
    assert list(store.query(text).rows) == []


def test_what_the_engine_says_while_rows_are_read_is_one_line() -> None:
    class Failing:
        variables = ()

        def __iter__(self) -> Self:
            return self

        def __next__(self) -> tuple[()]:
            raise OSError("the disk\nis gone")

    with pytest.raises(DataError, match=r"^SPARQL: the disk$"):
        list(answers(Failing()).rows)  # type: ignore[arg-type]


def test_a_wrong_query_is_one_line(store: Store) -> None:
    with pytest.raises(DataError, match=r"^SPARQL: error at 1:\d+") as caught:
        store.query("SELECT ?x { ?x ")
    assert "\n" not in str(caught.value)


def test_it_stays_on_the_disk_and_opens_for_reading_only(tmp_path: Path) -> None:
    writing = Store(path=tmp_path / "graph")
    writing.add(FACTS)
    writing.close()
    reading = Store(path=tmp_path / "graph", read_only=True)
    assert len(reading) == 8
    for change in (lambda: reading.add(FACTS), lambda: reading.update("CLEAR ALL")):
        with pytest.raises(DataError, match="open for reading only"):
            change()
    with pytest.raises(DataError, match="holds no graph"):
        Store(path=tmp_path / "nothing", read_only=True)


def test_an_entity_that_is_not_there_gets_the_nearest_labels(store: Store) -> None:
    assert store.find("Q142") == "Q142"
    assert store.find("deutschland") == "Q183"
    with pytest.raises(DataError, match=r"`Germny` is not in the graph; nearest labels: `germany` \(Q183\)"):
        store.find("Germny")


def test_short_aliases_are_near_to_nothing() -> None:
    made = Store()
    texts = {"FR": "France", "NA": "Namibia", "BQ": "Bonaire", "AZ": "Azerbaijan"}
    made.add(Fact(name, "rdfs:label", Value(text, "rdf:langString", "en")) for name, text in texts.items())
    assert made.find("  france\t") == "FR"
    with pytest.raises(DataError, match=r"`Frnace` is not in the graph; nearest labels: `france` \(FR\)$"):
        made.find("Frnace")
    with pytest.raises(DataError, match="`zzzzqqq` is not in the graph$"):
        made.find("zzzzqqq")


def test_arrays_hold_the_links_of_each_split_in_the_order_of_names(store: Store, tmp_path: Path) -> None:
    triples = ids(store, tmp_path / "ids")
    assert triples.entities == ("City", "Q142", "Q183", "Q64")
    assert triples.relations == ("borders", "capital_of", "rdf:type")
    assert sorted(map(tuple, triples.splits["train"].tolist())) == [(3, 1, 2), (3, 2, 0)]
    assert triples.splits["test"].tolist() == [[2, 0, 1]]
    assert isinstance(triples.splits["train"], np.memmap)
    assert triples.label("Q64") == "Berlin"
    store.update("DROP GRAPH <urn:kg-split:test>")
    assert set(ids(store, tmp_path / "ids").splits) == {"train"}


@pytest.mark.parametrize(
    "name",
    [
        "Q1",
        "a b",
        "50%",
        "land reform.n.01",
        'say "x"',
        "<x>",
        "中",
        "a#b",
        "http://x.org/a",
        "x:y",
        "rdfs:label",
        "_:b1",
        "\ue000",
    ],
)
def test_any_name_comes_back(name: str) -> None:
    term = node(name)
    assert (name if name.startswith("_:") else name_of(term.value)) == name


@pytest.mark.parametrize("confidence", [1.5, -0.1, float("nan"), float("inf")])
def test_a_confidence_beyond_0_to_1_is_refused(confidence: float) -> None:
    with pytest.raises(DataError, match=r"^a r b: the confidence is .*, and 0 to 1 is wanted"):
        Fact("a", "r", "b", confidence)
