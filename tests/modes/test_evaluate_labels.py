"""A model is tested on other data by its own labels, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Result

TAGGER = ("+experiment=toy", "data=conll", "task=token_classification", "baseline=null", "+debug=smoke")
LINES = "Anna\tB-PER\nsaw\tO\nRome\tB-LOC\n\nBob\tB-PER\nleft\tO\n\n"


def figures(folder: Path) -> list[dict[str, float]]:
    return [
        json.loads(file.read_text())["metrics"] for file in sorted((folder / "evaluations").glob("*.json"))
    ]


def test_fewer_labels_keep_their_numbers_and_other_ones_are_refused(
    toy: Path, lab: Callable[..., Result]
) -> None:
    assert lab("+experiment=toy", "hydra.run.dir=run", "baseline=null", "mode.report=false").code == 0
    rows = [line.split(",") for line in (toy / "toy.csv").read_text().splitlines()[1:]]
    right = [text for text, label in rows if label == "good"]
    (toy / "good.csv").write_text("\n".join(["text,label", *(f"{text},good" for text in right)]))
    (toy / "other.csv").write_text("\n".join(["text,label", *(f"{text},neutral" for text in right)]))
    result = lab("evaluate", "run", "data.source={test: file://good.csv}")
    assert result.code == 0, result.err
    metrics = figures(toy / "run")[-1]
    assert (
        metrics["test/accuracy"] > 0.8
    )  # 0.5 of a head drawn anew, 0 where `good` were the model's first label
    result = lab("evaluate", "run", "data.source={test: file://other.csv}")
    assert result.code != 0
    assert "other.csv:2" in result.err
    assert "neutral" in result.err
    result = lab("evaluate", "run", "data.source={test: file://good.csv}", "data.labels=[good,bad]")
    assert result.code != 0
    assert "label 0 is `bad` to the model and `good` in the data" in result.err


@pytest.mark.parametrize("tag", ["ORG", "LOC"])
def test_a_tagger_knows_its_types(tag: str, toy: Path, lab: Callable[..., Result]) -> None:
    (toy / "names.conll").write_text(LINES)
    (toy / "other.conll").write_text(f"Oslo\tB-{tag}\nis\tO\n\n")
    files = "data.source={train: file://names.conll, test: file://names.conll}"
    assert lab(*TAGGER, files, "data.leaks=keep", "hydra.run.dir=run").code == 0
    result = lab("evaluate", "run", "data.source={train: null, test: file://other.conll}")
    assert (result.code == 0) is (tag == "LOC"), result.err
    if tag == "ORG":
        assert "ORG" in result.err
        assert "other.conll" in result.err
