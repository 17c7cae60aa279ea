"""What is written is read back; what is broken is listed with its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_lab.errors import ConfigError, DataError
from llm_lab.knowledge.fact import Fact, Value
from llm_lab.knowledge.formats.source import parse_graph
from llm_lab.knowledge.formats.write import Written, write
from llm_lab.knowledge.load import load
from llm_lab.knowledge.store import Store
from tests.knowledge.reading import read, shown

EVERYTHING = ["x.nq", "x.trig", "x.jsonld", "x.csv", "x.tsv"]
ONE_SPLIT = ["x.nt", "x.ttl", "x.rdf"]


names = st.text(st.characters(exclude_categories=("Cs", "Cc", "Z")), min_size=1, max_size=8).filter(
    lambda name: not name.startswith(("_:", "urn:", '"')) and "://" not in name and ":" not in name
)
texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12).filter(
    lambda text: text == text.strip()
)
values = st.one_of(
    st.builds(Value, texts),
    st.builds(lambda text: Value(text, "rdf:langString", "zh"), texts),
    st.builds(lambda number: Value(str(number), "xsd:integer"), st.integers(-(10**9), 10**9)),
)
relations = st.sampled_from(["knows", "has part", "age", "_hypernym"])
sources = st.sampled_from(["", "atlas", "P 31"])
confidences = st.one_of(st.none(), st.integers(0, 100).map(lambda percent: percent / 100))


def facts(splits: list[str]) -> st.SearchStrategy[list[Fact]]:
    one = st.builds(
        Fact, names, relations, st.one_of(names, values), confidences, sources, st.sampled_from(splits)
    )
    key = lambda fact: (fact.head, fact.relation, fact.tail, fact.source)  # noqa: E731
    return st.lists(one, min_size=1, max_size=6, unique_by=key)


@pytest.mark.parametrize("name", EVERYTHING)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_facts=facts(["train", "test"]))
def test_a_graph_comes_back_from_a_file(name: str, given_facts: list[Fact], tmp_path: Path) -> None:
    store = Store()
    store.add(given_facts)
    write(store, tmp_path / name)
    assert shown(read(tmp_path / name)[0]) == shown(store)


@pytest.mark.parametrize("name", ONE_SPLIT)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_facts=facts(["train"]))
def test_formats_without_graphs_hold_a_graph_of_one_split(
    name: str, given_facts: list[Fact], tmp_path: Path
) -> None:
    store = Store()
    store.add(given_facts)
    write(store, tmp_path / name)
    assert shown(read(tmp_path / name)[0]) == shown(store)


@pytest.mark.parametrize("name", [*EVERYTHING, *ONE_SPLIT, "x.obo"])
def test_what_is_said_to_be_written_is_read_back(name: str, tmp_path: Path) -> None:
    store = Store()
    store.add(
        [Fact("a", "r", f"b{number}", split=split) for number, split in enumerate(("train", "val", "test"))]
    )
    done = write(store, tmp_path / name)
    back = read(tmp_path / name)[0]
    assert done.facts == len([fact for fact in back.facts() if fact.relation == "r"])
    assert done.splits == ({} if name in EVERYTHING else {"val": 1, "test": 1})
    assert back.splits == (("train", "val", "test") if name in EVERYTHING else ("train",))
    tests = Store()
    tests.add([Fact("a", "r", "b", split="test")])
    if name not in EVERYTHING:
        with pytest.raises(DataError, match="holds the training split only, and the graph has none"):
            write(tests, tmp_path / name)


OBO = """format-version: 1.2

[Term]
id: HP:1
name: All
xref: UMLS:C1

[Term]
id: HP:2
name: Kidney cyst
def: "A \\"fluid\\" sac." [ORCID:1]
synonym: "Renal cyst" EXACT layperson []
synonym: no quotes
is_a: HP:1 ! All
relationship: part_of HP:3 {source="x"} ! kidney
this line is broken

[Term]
id: HP:9
name: obsolete
is_obsolete: true

[Typedef]
id: part_of
name: part of
"""


def test_obo(tmp_path: Path) -> None:
    (tmp_path / "x.obo").write_text(OBO)
    store, _, rejected = read(tmp_path / "x.obo")
    assert store.label("HP:2") == "Kidney cyst"
    assert store.find("renal cyst") == "HP:2"
    links = {(fact.relation, fact.tail) for fact in store.facts("HP:2") if isinstance(fact.tail, str)}
    assert links == {("rdf:type", "owl:Class"), ("rdfs:subClassOf", "HP:1"), ("part_of", "HP:3")}
    assert Value('A "fluid" sac.', "rdf:langString", "en") in {fact.tail for fact in store.facts("HP:2")}
    assert not list(store.facts("HP:9"))
    assert [(line["line"], line["reason"]) for line in rejected] == [
        (13, "no quoted text"),
        (16, "broken line"),
    ]
    assert write(store, tmp_path / "y.obo") == Written(facts=len(store))
    assert shown(read(tmp_path / "y.obo")[0]) == shown(store)


def test_broken_lines_are_listed_and_the_others_load(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_bytes("a\tr\tb\n\na\tr\na\t\tb\nc\tr\t\xff\nd\tr\té\n".encode("latin-1"))
    store, done, rejected = read(tmp_path / "x.tsv")
    assert [(line["line"], line["reason"]) for line in rejected] == [
        (3, "wrong field count"),
        (4, "empty field"),
        (5, "wrong encoding"),
        (6, "wrong encoding"),
    ]
    assert len(store) == 1 and done.rejected["total"] == 4


def test_broken_ntriples_keep_their_line_numbers(tmp_path: Path) -> None:
    lines = [
        b"<urn:x:a> <urn:x:r> <urn:x:b> .",
        b"<urn:x:a> no",
        b'<urn:x:a> <urn:x:r> "\xff" .',
        b"",
        b'<urn:x:a> <urn:x:r> "ok" .',
    ]
    (tmp_path / "x.nt").write_bytes(b"\n".join(lines) + b"\n")
    store, _, rejected = read(tmp_path / "x.nt")
    assert len(store) == 2
    assert [line["line"] for line in rejected] == [2, 3]
    assert rejected[0]["detail"].startswith("column 11: The predicate of a triple must be an IRI")
    assert not any("line" in line["detail"] for line in rejected)  # lines are parsed one by one


def test_turtle_is_read_on_after_a_broken_statement(tmp_path: Path) -> None:
    text = "@prefix : <urn:x:> .\n:a :r :b .\n:a 'no relation' :b .\n:c :r :d ; :s 'x'@en .\n"
    (tmp_path / "x.ttl").write_text(text)
    store, _, rejected = read(tmp_path / "x.ttl")
    assert len(store) == 3
    assert [line["line"] for line in rejected] == [3]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "x.rdf",
            '<?xml version="1.0"?>\n<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n<a></b>',
        ),
        ("x.jsonld", '[{"@id": "urn:x:a",\n "urn:x:r": [{"@id":}]}]'),
        ("x.json", '{"a": '),
    ],
)
def test_a_document_that_is_broken_is_refused_with_its_line(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=rf"{name}: .*(line \d|not JSON)"):
        read(tmp_path / name, subject="a") if name == "x.json" else read(tmp_path / name)


def test_too_many_broken_lines_end_the_load(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text("a\tr\tb\nbroken\n")
    with pytest.raises(
        DataError, match=r"1 of 2 rows rejected \(50.0%\), max_rejected allows 1.0%: .*x.tsv:2"
    ):
        load(Store(), parse_graph(str(tmp_path / "x.tsv")), rejected=tmp_path / "rejected.jsonl")


def test_a_table_of_triples_with_evidence(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("s,p,o,sure,from\nBerlin,capital of,Germany,0.9,atlas\nBerlin,in,EU,2,\n")
    columns = {"head": "s", "relation": "p", "tail": "o", "confidence": "sure", "source": "from"}
    store, _, rejected = read(tmp_path / "x.csv", columns=columns)
    assert shown(store) == {Fact("Berlin", "capital of", "Germany", 0.9, "atlas")}
    assert rejected[0]["reason"] == "confidence is not in 0 to 1"


def test_a_table_of_entities_makes_each_column_a_relation(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(
        'id,name,near,people,code\nAD,Andorra,"ES,FR",77006,a\nXX,Nowhere,,many,b\n'
    )
    relations = {
        "neighbour": {"column": "near", "separator": ",", "type": "Country"},
        "population": {"column": "people", "to": "integer"},
    }
    store, _, rejected = read(
        tmp_path / "x.csv", subject="id", type="Country", labels={"en": "name"}, relations=relations
    )
    assert {fact.tail for fact in store.facts("AD", "neighbour")} == {"ES", "FR"}
    assert next(store.facts("AD", "population")).tail == Value("77006", "xsd:integer")
    assert next(store.facts("population", "rdfs:range")).tail == "xsd:integer"
    assert [(line["line"], line["reason"]) for line in rejected] == [(3, "`population` is no integer")]
    every = read(tmp_path / "x.csv", subject="id")[0]
    assert {fact.relation for fact in every.facts("AD")} == {"name", "near", "people", "code"}
    assert next(every.facts("AD", "people")).tail == Value("77006", "xsd:integer")


def test_rows_inside_of_json_and_python(tmp_path: Path) -> None:
    content = {
        "DAX": {
            "companies": [
                {"name": "SAP", "symbol": "SAP.DE", "symbols": [{"currency": "EUR"}, {"currency": "USD"}]}
            ]
        }
    }
    (tmp_path / "x.json").write_text(json.dumps(content))
    (tmp_path / "x.py").write_text(f"import os\nos.abort()\nINDICES = {content!r}\n")
    how = {"subject": "symbol", "relations": {"index": "index", "currency": "symbols.currency"}}
    for name, rows in (("x.json", "{index}.companies.*"), ("x.py", "INDICES.{index}.companies.*")):
        store = read(tmp_path / name, rows=rows, **how)[0]
        assert {(fact.relation, fact.tail) for fact in store.facts("SAP.DE")} == {
            ("index", "DAX"),
            ("currency", "EUR"),
            ("currency", "USD"),
        }
    with pytest.raises(DataError, match="there is no `INDEX`; did you mean `INDICES`"):
        read(tmp_path / "x.py", rows="INDEX.*", **how)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ({"a": {"uri": "x.tsv", "formt": "csv"}}, r"graph.a.formt: unknown key; did you mean `format`"),
        (
            {"a": {"uri": "x.tsv", "format": "turtl"}},
            r"graph.a.format: unknown format `turtl`; did you mean `turtle`",
        ),
        ("x.pdf", r"graph: no format is told by the name x.pdf"),
        (
            {"a": {"uri": "x.tsv", "split": "tset"}},
            r"graph.a.split: must be one of train, val, test, not the text `tset`",
        ),
        (
            {"a": {"uri": "x.csv", "relations": {"r": {"to": "entity"}}}},
            r"graph.a.relations.r: names no `column`",
        ),
        (
            {"a": {"uri": "x.csv", "relations": ["x"]}},
            r"graph.a.relations: must be a mapping or null, not a list",
        ),
        ({"a": {"uri": "x.csv", "relations": {"r": 5}}}, r"graph.a.relations.r: must be a mapping, not 5"),
        (
            {"a": {"uri": "x.csv", "relations": {"r": {"column": "c", "to": "integr"}}}},
            r"graph.a.relations.r.to: unknown type `integr`; did you mean `integer`",
        ),
        (
            {"a": {"uri": "x.csv", "relations": {"r": {"column": "c", "pattern": "("}}}},
            r"graph.a.relations.r.pattern: '\(' is no regular expression: missing \)",
        ),
        (
            {"a": {"uri": "x.csv", "relations": {"r": {"column": "c", "patern": "x"}}}},
            r"graph.a.relations.r.patern: unknown key; did you mean `pattern`",
        ),
        ({"a": {"uri": "x.csv", "labels": {"en_US": "name"}}}, r"graph.a.labels: 'en_US' is no language tag"),
        ({"a": {"uri": "x.csv", "language": "?"}}, r"graph.a.language: '\?' is no language tag"),
        (
            {"a": {"uri": "x.csv", "label_lists": {"column": "c"}}},
            r"graph.a.label_lists: wants column, language, text",
        ),
        ({"a": {"uri": "x.csv", "where": {"year": 1999}}}, r"graph.a.where.year: must be a text, not 1999"),
        ({"a": 5}, r"graph.a: a URI or a mapping that holds `uri` is wanted, found 5"),
    ],
)
def test_a_wrong_source_is_told(graph: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_graph(graph)


def test_a_column_that_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("id,name\n1,a\n")
    with pytest.raises(DataError, match="no column `idd`; did you mean `id`"):
        read(tmp_path / "x.csv", subject="idd")
    with pytest.raises(DataError, match="no row has a column `nme`"):
        read(tmp_path / "x.csv", subject="id", relations={"r": "nme"})
