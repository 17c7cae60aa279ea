"""Files that are broken, hostile, or say what a format does not keep: told, and nothing wrong is taken."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_lab.errors import DataError
from llm_lab.knowledge.fact import Fact, Value
from llm_lab.knowledge.formats.write import Written, write
from llm_lab.knowledge.ids import ids
from llm_lab.knowledge.store import Store
from tests.knowledge.reading import read, shown


def test_of_a_document_that_ends_too_early_nothing_is_taken(tmp_path: Path) -> None:
    begin = '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:x="urn:y:">\n'
    one = '<rdf:Description rdf:about="urn:y:a"><x:p rdf:resource="urn:y:b"/></rdf:Description>\n'
    (tmp_path / "cut.rdf").write_text(begin + one)
    with pytest.raises(DataError, match="line 3: no element found"):
        read(tmp_path / "cut.rdf")
    (tmp_path / "whole.rdf").write_text(begin + one + "</rdf:RDF>")
    assert len(read(tmp_path / "whole.rdf")[0]) == 1


def test_entities_of_xml_that_blow_up_are_refused(tmp_path: Path) -> None:
    layers = [f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 8)]
    (tmp_path / "bomb.rdf").write_text(
        f'<!DOCTYPE r [<!ENTITY e0 "{"a" * 10}">{"".join(layers)}]>\n'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:x="urn:y:">'
        '<rdf:Description rdf:about="urn:y:a"><x:p>&e7;</x:p></rdf:Description></rdf:RDF>'
    )
    with pytest.raises(DataError, match="amplification"):
        read(tmp_path / "bomb.rdf")


def test_a_statement_beyond_the_parsers_buffer_is_told(tmp_path: Path) -> None:
    huge = f'<urn:y:a> <urn:y:p> "{"x" * 17_000_000}" .\n'
    (tmp_path / "x.ttl").write_text(huge)
    with pytest.raises(DataError, match="too long"):
        read(tmp_path / "x.ttl")
    (tmp_path / "x.nt").write_text("<urn:y:a> <urn:y:p> <urn:y:b> .\n" + huge)
    store, _, listed = read(tmp_path / "x.nt")
    assert len(store) == 1 and [(one["line"], one["reason"]) for one in listed] == [(2, "statement too long")]


@pytest.mark.parametrize("name", ["x.json", "x.py"])
def test_nesting_without_end_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("[" * 100_000)
    with pytest.raises(DataError, match="not (JSON|Python)"):
        read(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.nq", "<urn:x:a> <urn:x:r> <urn:x:b> <urn:my:graph> .\n_:e <urn:x:r> <urn:x:b> _:g .\n"),
        ("x.trig", "<urn:my:graph> { <urn:x:a> <urn:x:r> <urn:x:b> } _:g { _:e <urn:x:r> <urn:x:b> }"),
        (
            "x.jsonld",
            """[{"@id": "urn:my:graph", "@graph": [{"@id": "urn:x:a", "urn:x:r": {"@id": "urn:x:b"}}]},
            {"@id": "_:g", "@graph": [{"@id": "_:e", "urn:x:r": {"@id": "urn:x:b"}}]}]""",
        ),
    ],
)
@pytest.mark.parametrize("split", ["train", "test"])
def test_facts_of_a_graph_of_ones_own_belong_to_the_split_of_the_file(
    name: str, text: str, split: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    store, done, _ = read(tmp_path / name, split=split)
    assert len(list(store.facts(split=split))) == len(store) == done.rows.total() == 2
    assert store.splits == (split,)
    assert next(store.facts("urn:x:a", evidence=True)).source == "urn:my:graph"
    assert len(ids(store).splits[split]) == 2


def test_a_split_that_there_is_not_is_refused_with_the_nearest(tmp_path: Path) -> None:
    line = "<urn:x:a> <urn:x:r> <urn:x:b> <urn:kg-split:{}> .\n"
    (tmp_path / "x.nq").write_text(line.format("tset"))
    with pytest.raises(
        DataError, match="x.nq: .*urn:kg-split:tset names no split; did you mean `urn:kg-split:test`"
    ):
        read(tmp_path / "x.nq")
    for said, split in (("test", "test"), ("dev", "val"), ("train", "train")):
        (tmp_path / "x.nq").write_text(line.format(said))
        assert read(tmp_path / "x.nq")[0].splits == (split,)


def test_facts_in_a_graph_that_no_reader_made_are_not_taken_for_training() -> None:
    store = Store()
    store.update("INSERT DATA { GRAPH <urn:my:graph> { :a :r :b } }")
    with pytest.raises(DataError, match="holds facts in <urn:my:graph>, which is no split"):
        list(store.facts())


def test_facts_of_rdf_say_the_source_of_their_file(tmp_path: Path) -> None:
    (tmp_path / "x.ttl").write_text("<urn:x:a> <urn:x:r> <urn:x:b> .")
    store = read(tmp_path / "x.ttl", provenance="atlas")[0]
    assert [fact.source for fact in store.facts(evidence=True)] == ["atlas"]


GOOD = {"head": "a", "relation": "r", "tail": "b"}


@pytest.mark.parametrize(
    ("name", "rows", "how", "reason"),
    [
        ("x.csv", "head,relation,tail,language\na,r,b,en\na,r,b,en_US\n", {}, "not a fact"),
        ("x.csv", "head,relation,tail,datatype\na,r,b,\na,r,b,_:d\n", {}, "not a fact"),
        ("x.tsv", "a\tr\tb\na\t_:r\tb\n", {}, "not a fact"),
        ("x.obo", "[Term]\nid: X:1\nrelationship: _:r X:3\nrelationship: r X:2\n", {}, "not a fact"),
        (
            "x.json",
            [GOOD, {"head": "a", "relation": "r", "datatype": "xsd:string"}],
            {"rows": "*"},
            "empty field",
        ),
        (
            "x.json",
            [{"id": "a", "names": [{"t": "A", "l": "en"}]}, {"id": "b", "names": ["B"]}],
            {"subject": "id", "label_lists": {"column": "names", "text": "t", "language": "l"}},
            "labels are no list of objects",
        ),
        ("x.json", [{"in": [GOOD]}, {"out": []}], {"rows": "*.in.*"}, "no such key"),
        ("x.json", [[GOOD], 5], {"rows": "*.*"}, "neither a list nor an object"),
    ],
)
def test_a_row_that_makes_no_fact_is_rejected_alone(
    name: str, rows: Any, how: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(rows if isinstance(rows, str) else json.dumps(rows))
    store, done, rejected = read(tmp_path / name, **how)
    assert [one["reason"] for one in rejected] == [reason]
    assert rejected[0]["line"] == (2 if isinstance(rows, list) else 3 if name != "x.tsv" else 2)
    assert len(store) and done.rejected["total"] == 1


@pytest.mark.parametrize("depth", [8_000, 20_000])
def test_json_that_is_too_deep_for_the_engine_is_refused(depth: int, tmp_path: Path) -> None:
    (tmp_path / "x.jsonld").write_text('{"urn:x:r":' * depth + '"[[\\"{{"' + "}" * depth)
    with pytest.raises(DataError, match=r"x.jsonld: line 1: .* nested deeper than 200"):
        read(tmp_path / "x.jsonld")
    flat = [{"@id": f"urn:x:{number}", "urn:x:r": ["[{" * depth]} for number in range(300)]
    (tmp_path / "x.jsonld").write_text(json.dumps(flat))
    assert len(read(tmp_path / "x.jsonld")[0]) == 300


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("name", ["x.nt", "x.nq", "x.ttl", "x.trig", "x.jsonld", "x.rdf"])
def test_a_byte_order_mark_is_no_part_of_the_first_statement(name: str, packed: str, tmp_path: Path) -> None:
    store = Store()
    store.add([Fact("urn:x:a", "urn:x:r", "urn:x:b"), Fact("urn:x:c", "urn:x:r", "urn:x:d")])
    write(store, tmp_path / name)
    content = b"\xef\xbb\xbf" + (tmp_path / name).read_bytes()
    (tmp_path / (name + packed)).write_bytes(gzip.compress(content) if packed else content)
    back, _, rejected = read(tmp_path / (name + packed))
    assert shown(back) == shown(store) and not rejected


odd = st.text(st.sampled_from("ab \t\n\r\"\\'!{}[]:|,\u00a0\u2028"), min_size=1, max_size=8)


odd_names = odd.filter(lambda name: not name.startswith("_:"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    links=st.lists(st.tuples(odd_names, odd_names, odd_names), min_size=1, max_size=3),
    texts=st.lists(
        st.tuples(odd_names, st.sampled_from(["rdfs:label", "skos:altLabel", "skos:definition"]), odd)
    ),
)
def test_obo_keeps_names_and_texts_as_they_are(links: list[Any], texts: list[Any], tmp_path: Path) -> None:
    store = Store()
    store.add([Fact(*link) for link in links])
    store.add([Fact(head, relation, Value(text, "rdf:langString", "en")) for head, relation, text in texts])
    store.add([Fact(fact.head, "rdf:type", "owl:Class") for fact in list(store.facts())])
    assert write(store, tmp_path / "x.obo") == Written(facts=len(store))
    back, _, rejected = read(tmp_path / "x.obo")
    assert shown(back) == shown(store) and not rejected


def test_obo_counts_what_it_does_not_keep(tmp_path: Path) -> None:
    store = Store()
    store.add(
        [
            Fact("a", "rdfs:label", Value("Hund", "rdf:langString", "de")),
            Fact("a", "xref", Value("5", "xsd:integer")),
            Fact("a", "xref", Value("")),
            Fact("a", "age", Value("5", "xsd:integer")),
            Fact("a", "rdf:type", "owl:Class"),
            Fact("a", "r", "b"),
        ]
    )
    assert write(store, tmp_path / "x.obo") == Written(facts=4, left=2, changed=2)
    assert len(read(tmp_path / "x.obo")[0]) == 4


def test_a_confidence_in_rdf_that_is_none_is_rejected(tmp_path: Path) -> None:
    store = Store()
    store.add([Fact("a", "r", "b", 0.5, "atlas"), Fact("c", "r", "d", 0.25, "atlas")])
    write(store, tmp_path / "x.nt")
    text = (tmp_path / "x.nt").read_text()
    (tmp_path / "x.nt").write_text(text.replace('"0.5"', '"1.5"').replace('"0.25"', '"much"'))
    back, _, rejected = read(tmp_path / "x.nt")
    assert [one["reason"] for one in rejected] == ["confidence is not in 0 to 1"] * 2
    assert {fact.confidence for fact in back.facts(evidence=True)} == {None}
