"""Triples of a graph's files: whose split they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llm_lab.data.rejects import RejectLog
from llm_lab.data.triple_rows import TripleReader
from llm_lab.knowledge.triples import Triples, read_triples, write_triples

FACTS = [f"<urn:y:a{number}> <urn:y:r> <urn:y:b> .\n" for number in range(60)]


def read(folder: Path, graph: dict[str, Any]) -> Triples:
    shares = {"val": 0.2, "test": 0.2}
    reader = TripleReader(sources=(), negatives=(), shares=shares, licence="", graph=graph)
    with RejectLog(path=folder / "rejected.jsonl") as rejects:
        return reader.read(rejects)


def test_a_graph_without_splits_is_divided_by_a_hash(tmp_path: Path) -> None:
    (tmp_path / "g.nt").write_text("".join(FACTS))
    found = read(tmp_path, {"facts": {"uri": f"file://{tmp_path}/g.nt"}})
    assert set(found.splits) == {"train", "val", "test"}


SAID = """@prefix : <urn:kg:> . @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> . @prefix schema: <http://schema.org/> .
:de rdfs:label "Deutschland"@de, "Germany"@en ; schema:description "a state"@en ; :borders :fr .
:fr rdfs:label "Frankreich"@de ; skos:definition "ein Land"@de ; rdfs:comment "ein Staat"@de ; :borders :x .
:x rdfs:label "X" .
"""


def test_labels_and_descriptions_come_in_every_language(tmp_path: Path) -> None:
    (tmp_path / "g.ttl").write_text(SAID)
    found = read(tmp_path, {"facts": {"uri": f"file://{tmp_path}/g.ttl"}})
    write_triples(tmp_path / "kept", found)
    again = read_triples(tmp_path / "kept")
    for triples in (found, again):
        assert [triples.label("de", one) for one in ("de", "en", "zh")] == [
            "Deutschland",
            "Germany",
            "Germany",
        ]
        assert [triples.label(one) for one in ("fr", "x", "borders")] == ["Frankreich", "X", "borders"]
        assert [triples.description(one) for one in ("de", "fr", "x")] == ["a state", "ein Land", ""]


@pytest.mark.parametrize("later", ["val", "test"])
def test_a_graph_with_splits_keeps_them(tmp_path: Path, later: str) -> None:
    (tmp_path / "g.nt").write_text("".join(FACTS[5:]))
    (tmp_path / "later.nt").write_text("".join(FACTS[:5]))
    files = {"train": "g.nt", later: "later.nt"}
    found = read(tmp_path, {name: {"uri": f"file://{tmp_path}/{file}"} for name, file in files.items()})
    assert {split: len(rows) for split, rows in found.splits.items()} == {"train": 55, later: 5}
