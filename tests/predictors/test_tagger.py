"""Words in, tags out: the formats, the units, and plain transformers on the same folder."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import AutoModelForTokenClassification

from tests.conftest import Result

TASK = (
    "model=toy",
    "data=conll",
    "task=token_classification",
    "baseline=null",
    "+debug=smoke",
    "logger=none",
)
LINES = "Anna\tB-PER\nsaw\tO\nNew\tB-LOC\nYork\tI-LOC\n\nBob\tB-PER\nleft\tO\n\n"


@pytest.fixture(params=["word", "character"])
def run(request: pytest.FixtureRequest, toy: Path, lab: Callable[..., Result]) -> str:
    """A tagger with a CRF, barely trained; the unit that it tags."""
    (toy / "names.conll").write_text(LINES)
    words = (f"data.unit={request.param}", "data.leaks=keep", "task.crf=true", "trainer.precision=32-true")
    files = "data.source={train: file://names.conll, test: file://names.conll}"
    result = lab(*TASK, *words, files, "hydra.run.dir=run")
    assert result.code == 0, result.err
    return str(request.param)


def test_every_format_says_the_same(run: str, toy: Path, lab: Callable[..., Result]) -> None:
    (toy / "in.txt").write_text("Anna saw New York\nBob left\n")
    (toy / "in.jsonl").write_text(
        '{"id": 1, "tokens": ["Anna", "saw", "New", "York"]}\n{"id": 2, "tokens": []}\n'
    )
    said = {}
    for source, output in (
        ("names.conll", "a.conll"),
        ("in.txt", "b.conll"),
        ("in.txt", "c.csv"),
        ("in.jsonl", "d.jsonl"),
    ):
        result = lab("predict", "run", "--input", source, "--output", output)
        assert result.code == 0, result.err
        said[output] = (toy / output).read_text()
    first = [line.split("\t") for line in said["a.conll"].split("\n\n")[0].splitlines()]
    expected = ["Anna", "saw", "New", "York"] if run == "word" else list("AnnasawNewYork")
    assert [line[0] for line in first] == expected
    gold = (
        "B-PER O B-LOC I-LOC" if run == "word" else "B-PER I-PER I-PER I-PER O O O" + " B-LOC" + " I-LOC" * 6
    )
    assert [line[1] for line in first] == gold.split()
    tags = [line[2] for line in first]
    assert said["b.conll"].split("\n\n")[0].splitlines() == [
        f"{word}\t{tag}" for word, tag in zip(expected, tags, strict=True)
    ]
    table = list(csv.DictReader(said["c.csv"].splitlines()))
    assert [row["tag"] for row in table if row["sentence"] == "1"] == tags
    one, two = map(json.loads, said["d.jsonl"].splitlines())
    assert one == {"id": 1, "tokens": expected, "tags": tags}
    assert two == {"id": 2, "tokens": [], "tags": []}


def test_plain_transformers_loads_the_folder_of_a_crf(run: str, toy: Path) -> None:
    model = AutoModelForTokenClassification.from_pretrained(toy / "run" / "model")
    assert sorted(model.config.id2label.values()) == ["B-LOC", "B-PER", "I-LOC", "I-PER", "O"]
