"""The verb `graph`: figures, faults, answers, files, graphs of tables and texts."""

from __future__ import annotations

import bz2
import csv
import gzip
import json
import lzma
import multiprocessing
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_lab.errors import DataError
from llm_lab.knowledge.store import Store
from llm_lab.knowledge.timed_query import query_within
from tests.conftest import Result, make_toy
from tests.models.tiny import tiny_encoder

Lab = Callable[..., Result]
TRIPLES = "berlin\tcapital_of\tgermany\nparis\tcapital_of\tfrance\ngermany\tborders\tfrance\nfrance\tborders\tgermany\n"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a small graph."""
    (tmp_path / "world.tsv").write_text(TRIPLES)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_stats(desk: Path, lab: Lab) -> None:
    result = lab("graph", "stats", "world.tsv")
    assert result.code == 0, result.err
    assert "triples    4 of two entities (train 4)" in result.out
    assert [line.split() for line in result.out.splitlines() if line.startswith("borders")] == [
        ["borders", "2", "2", "2", "1-1"]
    ]


def test_find_shows_what_is_said_about_an_entity(desk: Path, lab: Lab) -> None:
    (desk / "labels.ttl").write_text(
        "@prefix : <urn:kg:> . @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .\n"
        ":berlin rdfs:label 'Berlin'@en ; :capital_of :germany ; :people 3700000 . :spree :runs_through :berlin .\n"
    )
    result = lab("graph", "find", "labels.ttl", " BERLIN ")
    assert result.code == 0, result.err
    assert result.out.startswith("berlin: Berlin\n")
    lines = [line.split() for line in result.out.splitlines()]
    assert ["capital_of", "germany", "germany"] in lines
    assert ["people", "3700000", "xsd:integer"] in lines
    assert ["spree", "spree", "runs_through"] in lines
    lost = lab("graph", "find", "labels.ttl", "Berlni")
    assert lost.code == 1
    assert "`Berlni` is not in the graph; nearest labels: `berlin` (berlin)" in lost.err


def test_a_query_for_what_is_not_there_says_so(
    desk: Path, lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    query = "SELECT ?x { ?x :borders :frnace ; rdfs:label ':nothing' } # :none"
    assert lab("graph", "query", "world.tsv", "--query", query).out == "x\n"
    assert caplog.messages == ["`frnace` is not in the graph; nearest labels: `france` (france)"]
    lab("graph", "query", "world.tsv", "--query", "ASK { <urn:kg:paris> :capitol_of ?x }")
    assert caplog.messages[1:] == [
        "`capitol_of` is not in the graph; nearest labels: `capital_of` (capital_of)"
    ]
    for fine in ("PREFIX : <urn:x:> ASK { :a :b :c }", "CONSTRUCT { ?x :in :eu } WHERE { ?x :borders ?y }"):
        lab("graph", "query", "world.tsv", "--query", fine)
    assert len(caplog.messages) == 2


def test_query(desk: Path, lab: Lab) -> None:
    (desk / "q.rq").write_text("SELECT ?x ?y { ?x :capital_of ?y . ?y :borders :france }")
    for query in ("@q.rq", (desk / "q.rq").read_text()):
        result = lab("graph", "query", "world.tsv", "--query", query)
        assert (result.code, result.out) == (0, "x\ty\nberlin\tgermany\n")
    refused = lab("graph", "query", "world.tsv", "--query", "DELETE WHERE { ?s ?p ?o }")
    assert refused.code == 1
    assert "DELETE changes the graph, which is open for reading only" in refused.err


@pytest.mark.parametrize("what", ["(COUNT(*) AS ?n)", "*"])
def test_a_query_that_takes_too_long_is_ended(what: str, desk: Path, lab: Lab) -> None:
    (desk / "many.tsv").write_text("".join(f"a{n}\tr\tb{n}\n" for n in range(2000)))
    pairs = " . ".join(f"?a{n} :r ?b{n}" for n in range(4))
    query = f"SELECT {what} {{ {pairs} FILTER(?a0 = ?b1) }}"  # no row is ever found
    result = lab("graph", "query", "many.tsv", "--seconds", "0.7", "--query", query)
    assert result.code == 1
    assert "SPARQL: the time of 0.7 s was up, and the 0 rows so far are not all" in result.err
    assert multiprocessing.active_children() == []
    assert lab("graph", "query", "world.tsv", "--seconds", "no", "--query", query).code == 2


def test_a_limit_of_time_needs_a_folder() -> None:
    with pytest.raises(DataError, match="needs a graph on disk"):
        query_within(Store(), "ASK { ?s ?p ?o }")


def test_validate_fails_where_something_is_wrong(desk: Path, lab: Lab) -> None:
    assert lab("graph", "validate", "world.tsv").code == 0
    (desk / "odd.csv").write_text("head,relation,tail,datatype\na,age,3,xsd:integer\nb,age,four,xsd:string\n")
    result = lab("graph", "validate", "odd.csv")
    assert result.code == 1
    assert "inconsistent types" in result.out and "1 kinds of faults, 0 notes" in result.out


def test_convert_there_and_back(desk: Path, lab: Lab) -> None:
    for name in ("w.ttl", "w.jsonld", "w.rdf", "w.tsv"):
        result = lab("graph", "convert", "world.tsv", "--output", name)
        assert result.code == 0, result.err
        assert result.out == f"wrote 4 facts to {name}\n"
        assert "triples    4 of two entities" in lab("graph", "stats", name).out


def test_convert_says_which_splits_a_format_leaves_out(desk: Path, lab: Lab) -> None:
    (desk / "split.csv").write_text("head,relation,tail,split\na,r,b,train\nc,r,d,test\n")
    result = lab("graph", "convert", "split.csv", "--output", "s.ttl")
    assert result.code == 0, result.err
    assert result.out.splitlines() == [
        "wrote 1 facts to s.ttl",
        "left out, since the format holds the training split only: test 1",
    ]


def test_build_from_a_table(desk: Path, lab: Lab) -> None:
    (desk / "films.csv").write_text(
        "id,name,director,year\nf1,Alien,Scott,1979\nf2,Blade Runner,Scott,1982\n"
    )
    words = ("build", "films.csv", "--subject", "id", "--entities", "director", "--output", "films.ttl")
    result = lab("graph", *words)
    assert result.code == 0, result.err
    query = "SELECT ?name ?year { ?f :director :Scott ; rdfs:label ?name ; :year ?year FILTER(?year < 1980) }"
    assert lab("graph", "query", "films.ttl", "--query", query).out == "name\tyear\nAlien\t1979\n"


def test_build_from_the_texts_of_a_data_module(desk: Path, lab: Lab) -> None:
    make_toy(desk, rows=60)
    (desk / "films.tsv").write_text("cast\tpart_of\tfilm\nstory\tpart_of\tfilm\nstory\tinstance_of\tscenes\n")
    words = ("graph", "build", "data=toy", "--graph", "films.tsv", "--output", "texts.csv", "model=toy")
    assert "of 4 entities" in lab(*words, "--classes").out
    result = lab(*words)
    assert result.code == 0, result.err
    assert "read 60 texts:" in result.out and "of 3 entities" in result.out
    rows = (desk / "texts.csv").read_text().splitlines()
    assert rows[0] == "head,relation,tail,confidence,source"
    assert any(row.split(",")[1:4] == ["mentions", "film", "1"] for row in rows)


def test_an_encoder_ranks_the_entities_of_one_name_by_the_text(desk: Path, lab: Lab) -> None:
    make_toy(desk, rows=60)
    lines = [f"{name}\trdfs:label\tfilm\txsd:string\n" for name in ("roll", "movie")]
    (desk / "films.csv").write_text(
        "head\trelation\ttail\tdatatype\n".replace("\t", ",") + "".join(lines).replace("\t", ",")
        + "roll,made_of,story,\nmovie,tells,story,\nmovie,tells,plot,\n"
    )  # fmt: skip
    encoder = str(tiny_encoder(desk / "encoder", ["film story made of tells plot the was good bad"]))
    words = ("graph", "build", "data=toy", "model=toy", "--graph", "films.csv", "--output", "texts.csv")
    confidences = []
    for more in ((), ("--encoder", encoder)):
        result = lab(*words, *more)
        assert result.code == 0, result.err
        rows = csv.DictReader((desk / "texts.csv").open())
        confidences.append({row["confidence"] for row in rows if row["tail"] in {"movie", "roll"}})
    usual, read = confidences
    assert len(usual) == 1  # whatever the text says, the one with more triples
    assert len(read) > 1
    refused = lab(*words, "--encoder", "minilmm")
    assert refused.code == 2 and "no encoder of `model=`; did you mean `minilm`" in refused.err
    refused = lab(*words, "--encoder", "bert_tiny")
    assert refused.code == 2 and "a pretrained one is wanted" in refused.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("stat", "world.tsv"), "graph stat: did you mean `stats`"),
        (("stats",), "graph stats needs one GRAPH"),
        (
            ("stats", "countrys"),
            "`countrys` is no file, no folder and no graph of `knowledge=`; did you mean `countries`",
        ),
        (("query", "world.tsv"), "graph query needs --query"),
        (("stats", "world.tsv", "more"), "graph stats: `more` is a word too many"),
        (("find", "berlin"), "graph find needs one GRAPH"),
        (("convert", "world.tsv"), "graph convert needs --output"),
        (("convert", "world.tsv", "--output", "x.pdf"), "no format is told by the name x.pdf"),
        (("build", "world.tsv", "--output", "x.ttl"), "--subject COLUMN names the column"),
        (("build", "--output", "x.ttl"), "graph build needs a table"),
    ],
)
def test_what_is_missing_is_told(words: tuple[str, ...], message: str, desk: Path, lab: Lab) -> None:
    result = lab("graph", *words)
    assert result.code == 2
    assert message in result.err


def test_broken_lines_are_counted_and_too_many_refused(desk: Path, lab: Lab) -> None:
    lines = "".join(f"a{i}\tr\tb{i}\n" for i in range(200))
    (desk / "few.tsv").write_text(lines + "broken\n")
    assert "triples    200 of" in lab("graph", "stats", "few.tsv").out
    (desk / "many.tsv").write_text("a\tr\tb\nbroken\n")
    result = lab("graph", "stats", "many.tsv")
    assert result.code == 1
    assert "1 of 2 rows rejected (50.0%)" in result.err and "many.tsv:2" in result.err
    listed = Path(result.err.rpartition("The list: ")[2].strip())
    assert json.loads(listed.read_text())["line"] == 2


SCHEMA = """@prefix : <http://example.org/> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
:Dog rdfs:subClassOf :Animal . :rex a :Dog . :partOf a owl:TransitiveProperty .
:paw :partOf :leg . :leg :partOf :rex .
"""


def test_entail_by_the_semantics_that_is_asked_for(desk: Path, lab: Lab) -> None:
    (desk / "schema.ttl").write_text(SCHEMA)
    found = {}
    for semantics in ("rdfs", "owl_rl"):
        words = ("schema.ttl", "--semantics", semantics, "--output", f"{semantics}.nt")
        result = lab("graph", "entail", *words)
        assert result.code == 0, result.err
        found[semantics] = (desk / f"{semantics}.nt").read_text()
    animal = "<http://example.org/rex> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <http://example.org/Animal>"
    part = "<http://example.org/paw> <http://example.org/partOf> <http://example.org/rex>"
    assert animal in found["rdfs"] and animal in found["owl_rl"]
    assert part in found["owl_rl"] and part not in found["rdfs"]
    assert not any(
        line.startswith("<http://www.w3.org/") for text in found.values() for line in text.splitlines()
    )
    result = lab("graph", "entail", "schema.ttl", "--semantics", "owl", "--output", "x.nt")
    assert result.code == 2 and "one of rdfs, owl_rl" in result.err


KILLED = """
import os, signal, sys
import llm_lab.knowledge.graphs as graphs
load = graphs.load
def killing(store, *rest, **named):
    load(store, *rest, **named)
    os.kill(os.getpid(), signal.SIGKILL)
graphs.load = killing
from llm_lab.__main__ import main
main(["graph", "stats", "world.tsv"])
"""


def test_a_load_that_is_killed_leaves_no_half_store(
    desk: Path, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_LAB_HOME", str(desk / "home"))
    done = subprocess.run([sys.executable, "-c", KILLED], cwd=desk, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = [path for path in (desk / "home/data").iterdir() if path.is_dir()]
    assert left and all(".tmp" in path.name for path in left)  # nothing under the name of a whole one
    result = lab("graph", "stats", "world.tsv")
    assert result.code == 0, result.err
    assert "triples    4 of two entities" in result.out
    (whole,) = (path for path in (desk / "home/data").iterdir() if path.is_dir())
    assert ".tmp" not in whole.name


def test_lines_that_are_left_out_and_facts_that_stand_twice_are_told(
    desk: Path, lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [f"a{number}\tr\tb" for number in range(200)]
    (desk / "long.tsv").write_text("\n".join([*lines, lines[0], "broken"]))
    result = lab("graph", "validate", "long.tsv")
    assert result.code == 0, result.out
    assert re.search(r"duplicate +files +1\b", result.out)
    told = caplog.messages[-1]
    assert told.startswith("1 broken lines of the graph are left out, see ")
    assert json.loads(Path(told.split(", see ")[1]).read_text())["line"] == 202


def test_names_are_shown_as_they_are(desk: Path, lab: Lab) -> None:
    (desk / "odd.nt").write_text("<urn:x:a> <urn:x:b> <urn:x:c> .\n")
    assert "urn:x:b " in lab("graph", "stats", "odd.nt").out
    (desk / "odd.tsv").write_text("a\t[bold]r\tc\n")
    assert "[bold]r" in lab("graph", "stats", "odd.tsv").out


CHOICE = """# Mine.
name: mine
licence: mine
source: null
graph: {uri: file://world.csv, subject: id, relations: {age: {column: age, to: integer}}}
"""


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("source: null", "sorce: x", "knowledge.sorce: unknown key"),
        ("to: integer", "to: integr", "knowledge.graph.relations.age.to: unknown type `integr`"),
    ],
)
def test_a_choice_that_is_written_wrong_is_told(
    right: str, wrong: str, message: str, desk: Path, lab: Lab
) -> None:
    folder = desk / "conf" / "knowledge"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(CHOICE.replace(right, wrong))
    near = "did you mean `" + ("source" if "sorce" in wrong else "integer")
    shown = lab("graph", "stats", "mine")
    assert shown.code == 2
    assert message in shown.err and near in shown.err
    checked = lab("check", "+experiment=link_prediction", "knowledge=mine")
    assert checked.code == 2
    assert message in checked.err and near.replace("`source", "`knowledge.source") in checked.err
    assert "mine.yaml" in checked.err


def test_a_place_that_cannot_be_written_is_one_line(
    desk: Path, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    (desk / "taken").touch()
    (desk / "folder.ttl").mkdir()
    for output in ("taken/x.ttl", "folder.ttl", "/proc/x.ttl"):
        result = lab("graph", "convert", "world.tsv", "--output", output)
        assert result.code == 1
        assert f"{output} cannot be written: " in result.err
    monkeypatch.setenv("LLM_LAB_HOME", str(desk / "taken"))
    result = lab("graph", "stats", "world.tsv")
    assert result.code == 1
    assert f"error: {desk}/taken" in result.err and "LLM_LAB_HOME names another folder" in result.err
    assert not (desk / "llm_lab-error.log").exists()


@pytest.mark.parametrize("name", ["x.tsv.gz", "x.nt.gz", "x.ttl.bz2", "x.ttl.gz", "x.json.xz"])
@pytest.mark.parametrize("cut", [0, 400])
def test_a_packed_file_that_is_broken_is_one_line(name: str, cut: int, desk: Path, lab: Lab) -> None:
    pack = {"gz": gzip, "bz2": bz2, "xz": lzma}[name.rpartition(".")[2]].compress
    text = "".join(f"<urn:x:{number * 7919 % 100_003}> <urn:x:r> <urn:x:b> .\n" for number in range(500))
    content = pack(text.encode())[:cut] or b"not packed"
    (desk / name).write_bytes(content)
    result = lab("graph", "stats", name)
    assert result.code == 1
    assert name in result.err and "or cut off" in result.err and "traceback" not in result.err
