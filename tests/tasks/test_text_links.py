"""Runs of models that read the names of a toy graph, as a user starts them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Result
from tests.knowledge.toy import toy_triples, write_tables
from tests.models.tiny import tiny_encoder

Lab = Callable[..., Result]
SMALL = ("knowledge=toy", "logger=none", "trainer.enable_progress_bar=false", "trainer.precision=32-true")
QUICK = ("mode.report=false", "mode.baseline=false")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a graph of the user's own and an encoder for its names."""
    sources = "\n".join(f"  {split}: {uri}" for split, uri in write_tables(tmp_path).items())
    file = tmp_path / "conf/knowledge/toy.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(
        "# A toy.\nname: toy\nlicence: none\nsource:\n" + sources + "\nnegatives: null\nlabels: null\n"
        "recipe: {batch_size: 16, text: {batch_size: 32, epochs: 25, lr: 0.003, bonus: 5, relation: matrix}}\n"
    )
    triples = toy_triples()
    tiny_encoder(
        tmp_path / "encoder", [*triples.entities, *triples.relations, "inverse child of parent lives in"]
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(lab: Lab, *words: str, run: str = "run") -> dict[str, float]:
    source = f"model.source={Path('encoder').resolve()}"
    result = lab("+experiment=text_link_prediction", *SMALL, source, *words, f"hydra.run.dir={run}")
    assert result.code == 0, result.err
    return dict(json.loads(Path(run, "metrics.json").read_text()))


def test_a_run_learns_is_evaluated_again_and_completes_triples(desk: Path, lab: Lab) -> None:
    metrics = train(lab)
    assert metrics["test/mrr"] > metrics["baseline/frequency/mrr"]
    assert lab("evaluate", "run").code == 0
    kept = json.loads(next(Path("run/evaluations").glob("*.json")).read_text())["metrics"]
    assert kept["test/mrr"] == pytest.approx(metrics["test/mrr"], abs=1e-4)
    Path("encoder").rename("elsewhere")
    Path("asked.tsv").write_text("child 0a\tchild_of\t?\n?\tlives_in\ttown 1\n")
    result = lab("predict", "run", "--input", "asked.tsv", "--output", "said.jsonl")
    assert result.code == 0, result.err
    first, _ = (json.loads(line) for line in Path("said.jsonl").read_text().splitlines())
    assert first["answers"][0]["id"] == "parent 0"


def test_entities_that_training_never_shows_are_counted_and_ranked(desk: Path, lab: Lab) -> None:
    metrics = train(lab, "data.inductive=0.3", "trainer.max_epochs=2", *QUICK[1:])
    report = Path("run/report.md").read_text()
    assert "| unseen in training test | entities " in report
    assert 0 < metrics["test/mrr"] <= 1
    assert lab("check", "+experiment=text_link_prediction", *SMALL, "data.inductive=x").code == 2


def test_a_reranker_follows_a_run(desk: Path, lab: Lab) -> None:
    train(lab, "trainer.max_epochs=4", *QUICK)
    words = (
        "model=reranker",
        f"model.first=run://{Path('run').resolve()}",
        "model.k=5",
        "trainer.max_epochs=2",
    )
    metrics = train(lab, *words, *QUICK, run="again")
    assert metrics["run/steps"] > 0
    assert Path("again/model/first/entities.txt").is_file()
    assert lab("evaluate", "again").code == 0


def test_what_reads_names_learns_by_contrast_alone(desk: Path, lab: Lab) -> None:
    result = lab("check", "+experiment=text_link_prediction", *SMALL, "task.objective=one_vs_all")
    assert result.code == 2
    assert "BiEncoder does not learn by `one_vs_all`" in result.err
    plain = ("model=complex", "model.dim=8", "model.n3=0", "model.dropout=0")
    result = lab("+experiment=text_link_prediction", *plain, *SMALL)
    assert result.code != 0
    assert "ComplEx does not learn by `contrastive`" in result.err
