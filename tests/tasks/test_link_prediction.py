"""Runs on a toy graph, as a user starts them."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from llm_lab.knowledge.rules.mining import Miner
from llm_lab.knowledge.rules.ruleset import RuleSet
from llm_lab.knowledge.triples import Triples
from llm_lab.models.graph.scorer import Scorer
from llm_lab.modes import train as way
from tests.conftest import Result
from tests.knowledge.toy import write_tables
from tests.modes.test_resume import train_and_stop

Lab = Callable[..., Result]
MODELS = ["complex", "distmult", "simple", "transe", "rotate", "tucker", "conve", "compgcn", "rgcn"]
SMALL = ("knowledge=toy", "logger=none", "trainer.enable_progress_bar=false", "trainer.precision=32-true")

QUICK = ("mode.report=false", "mode.baseline=false")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a graph of the user's own."""
    sources = "\n".join(f"  {split}: {uri}" for split, uri in write_tables(tmp_path).items())
    file = tmp_path / "conf/knowledge/toy.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(
        "# A toy.\nlicence: none\nsource:\n" + sources + "\nnegatives: null\nlabels: null\n"
        "recipe: {dim: 40, objective: one_vs_all, label_smoothing: 0.0, n3: 0.0, dropout: 0.0, lr: 0.1,"
        " batch_size: 16, epochs: 30, validate_every: 10, patience: 9}\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(lab: Lab, *words: str, run: str = "run") -> dict[str, float]:
    result = lab("+experiment=link_prediction", *SMALL, *words, f"hydra.run.dir={run}")
    assert result.code == 0, result.err
    return dict(json.loads(Path(run, "metrics.json").read_text()))


@pytest.mark.parametrize("model", MODELS)
def test_every_model_trains(model: str, desk: Path, lab: Lab) -> None:
    width = () if model in {"complex", "distmult", "simple"} else ("model.dim=40",)
    metrics = train(lab, "+debug=smoke", f"model={model}", *width, *QUICK)
    assert metrics["run/steps"] == 2
    assert 0 < metrics["test/mrr"] <= 1


@pytest.mark.parametrize("recipe", ["", "recipe: {}\n", "recipe: {dim: 8}\n"])
def test_a_graph_needs_no_recipe(recipe: str, desk: Path, lab: Lab) -> None:
    sources = "".join(f"  {split}: file://{desk}/{split}.tsv\n" for split in ("train", "val", "test"))
    (desk / "conf/knowledge/plain.yaml").write_text(f"# Plain.\nlicence: none\nsource:\n{sources}{recipe}")
    metrics = train(lab, "+debug=smoke", "knowledge=plain", *QUICK)
    assert 0 < metrics["test/mrr"] <= 1
    assert f"dim: {8 if 'dim' in recipe else 256}\n" in Path("run/config.yaml").read_text()


def test_a_table_needs_no_graph(desk: Path, lab: Lab) -> None:
    words = ("knowledge=null", f"data.source=file://{desk}/train.tsv", "data.licence=none", "+debug=smoke")
    assert train(lab, *words, *QUICK)["run/steps"] == 2


def test_a_run_shorter_than_the_distance_of_validations_is_validated(desk: Path, lab: Lab) -> None:
    """Without a figure it could be neither kept at its best nor searched over."""
    metrics = train(lab, "trainer.max_epochs=3", *QUICK)
    assert 0 < metrics["val/mrr"] <= 1
    assert list(Path("run/checkpoints").glob("best-*.ckpt"))


@pytest.mark.parametrize("objective", ["k_vs_all", "negative_sampling"])
@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_every_objective_learns(objective: str, loss: str, desk: Path, lab: Lab) -> None:
    metrics = train(lab, f"task.objective={objective}", f"task.loss={loss}", "task.negatives=16", *QUICK)
    assert metrics["test/mrr"] > 0.4


def test_a_run_learns_is_evaluated_again_and_completes_triples(desk: Path, lab: Lab) -> None:
    metrics = train(lab)
    assert metrics["test/mrr"] > 1.5 * metrics["baseline/frequency/mrr"]
    assert metrics["test/mrr_pessimistic"] <= metrics["test/mrr"] <= metrics["test/mrr_optimistic"]
    assert metrics["test/mrr_low"] < metrics["test/mrr"] < metrics["test/mrr_high"]
    again = lab("evaluate", "run")
    assert again.code == 0, again.err
    kept = json.loads(next(Path("run/evaluations").glob("*.json")).read_text())["metrics"]
    assert kept["test/mrr"] == pytest.approx(metrics["test/mrr"])
    assert "By kind of relation" in Path("run/report.md").read_text()
    Path("asked.tsv").write_text("child 0a\tchild_of\t?\n?\tlives_in\ttown 1\nchild 0\tchild_of\t?\n")
    result = lab("predict", "run", "--input", "asked.tsv", "--output", "said.jsonl")
    assert result.code == 0, result.err
    first, second, third = (json.loads(line) for line in Path("said.jsonl").read_text().splitlines())
    assert first["answers"][0]["id"] == "parent 0"
    assert len(second["answers"]) == 10
    assert third["answers"] == []
    assert "no entity `child 0` in the graph; did you mean" in third["note"]


def test_vectors_lie_beside_their_names(desk: Path, lab: Lab) -> None:
    train(lab, "+debug=smoke")
    names = Path("run/model/entities.tsv").read_text().splitlines()
    assert names[0] == "id"
    assert load_file("run/model/model.safetensors")["entity"].shape == (len(names) - 1, 40)


def test_csv_has_a_line_per_answer(desk: Path, lab: Lab) -> None:
    train(lab, "+debug=smoke")
    Path("asked.csv").write_text("head,relation,tail\nchild 0a,child_of,?\n,child_of,\n")
    result = lab("predict", "run", "--input", "asked.csv")
    rows = list(csv.DictReader(io.StringIO(result.out)))
    assert [row["place"] for row in rows] == [*map(str, range(1, 11)), ""]
    assert rows[-1]["note"] == "one of head and tail is to be given, and `?` for the other"


def test_a_stopped_run_goes_on_to_the_same_weights(desk: Path, lab: Lab) -> None:
    train(lab, "trainer.max_epochs=4")
    whole = load_file("run/model/model.safetensors")
    train(lab, "trainer.max_epochs=4", run="half")
    checkpoints = sorted(Path("half/checkpoints").glob("step-*.ckpt"), key=lambda path: int(path.stem[5:]))
    checkpoints[-1].unlink()
    for path in (Path("half/model/model.safetensors"), Path("half/metrics.json")):
        path.unlink()
    state = json.loads(Path("half/run.json").read_text())
    Path("half/run.json").write_text(json.dumps(state | {"state": "running"}))
    result = lab("resume", "half")
    assert result.code == 0, result.err
    again = load_file("half/model/model.safetensors")
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_killed_in_mid_epoch_and_resumed(desk: Path, lab: Lab) -> None:
    words = (*QUICK, "trainer.max_epochs=4", "callbacks.resume.interval=0.1")
    whole = train(lab, *words)
    step = int(whole["run/steps"]) // 2 + 1
    words = ("+experiment=link_prediction", *SMALL, *words, "hydra.run.dir=killed")
    done = train_and_stop(step, "SIGKILL", *words, cwd=desk)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not Path("killed/model").exists()
    result = lab("resume", "killed")
    assert result.code == 0, result.err
    again = json.loads(Path("killed/metrics.json").read_text())
    names = [name for name in whole if name.startswith(("test/", "val/"))]
    assert {name: again[name] for name in names} == {name: whole[name] for name in names}


def test_ctrl_c_keeps_the_rules_so_far(desk: Path, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    mined = Miner.cyclic

    def pressed(miner: Miner, relation: int, length: int) -> RuleSet | None:
        if (relation, length) == (2, 1):
            os.kill(os.getpid(), signal.SIGINT)
        return mined(miner, relation, length)

    monkeypatch.setattr(Miner, "cyclic", pressed)
    words = ("+experiment=rules", *SMALL, *QUICK)
    stopped = lab(*words, "hydra.run.dir=run")
    assert stopped.code == 130
    assert re.fullmatch(
        r"interrupted; the \d+ rules so far are kept in \S+; go on with: llm_lab resume \S+\n", stopped.err
    )
    kept = Path("run/model/rules.tsv").read_text().splitlines()
    assert len(kept) > 1 and not Path("run/metrics.json").exists()
    assert lab("evaluate", "run").code == 0
    monkeypatch.undo()
    monkeypatch.chdir(desk)
    assert lab("resume", "run").code == 0
    assert {*kept} < {*Path("run/model/rules.tsv").read_text().splitlines()}


def test_what_training_gives_away_and_never_shows_is_counted(desk: Path, lab: Lab) -> None:
    known, asked = Path("train.tsv").read_text(), "child 0a\tchild_of\tparent 0\n"
    assert asked in known
    Path("train.tsv").write_text(known.replace(asked, ""))
    with Path("test.tsv").open("a") as stream:
        stream.write(f"stranger\tlives_in\ttown 0\nparent 1\tloves\ttown 0\nparent 2\tloves\ttown 0\n{asked}")
    metrics = train(lab, "+debug=smoke", "data.limit=null", "mode.baseline=false")
    assert metrics["test/leaks/reversed"] == 1  # parent_of and child_of
    assert metrics["test/leaks/equal"] == 0
    unseen = {what: metrics[f"test/unseen/{what}"] for what in ("entities", "relations", "triples")}
    assert unseen == {"entities": 1, "relations": 1, "triples": 3}
    report = Path("run/report.md").read_text()
    assert "reversed in training test" in report
    assert "| unseen in training test | entities 1, relations 1, triples 3 |" in report


GRAPHS = ["nations", "umls", "kinship", "codex_s", "wn18rr"]


@pytest.mark.parametrize("graph", GRAPHS)
def test_every_recipe_suits_every_model(graph: str, desk: Path, lab: Lab) -> None:
    for model in [*MODELS, "rules"]:
        experiment = "rules" if model == "rules" else "link_prediction"
        result = lab("check", f"+experiment={experiment}", f"knowledge={graph}", f"model={model}")
        assert result.code == 0, result.err


def test_broken_lines_are_refused_with_their_number(desk: Path, lab: Lab) -> None:
    with Path("train.tsv").open("a") as stream:
        stream.write("only\ttwo\n")
    result = lab("+experiment=link_prediction", *SMALL, "+debug=smoke")
    assert result.code == 1
    assert "wrong field count (first train.tsv:" in result.err
    assert lab("+experiment=link_prediction", *SMALL, "+debug=smoke", "data.max_rejected=0.5").code == 0


def test_text_does_not_take_a_graph(desk: Path, lab: Lab) -> None:
    result = lab("check", "+experiment=link_prediction", *SMALL, "task=sequence_classification")
    assert result.code == 2
    assert "`task=link_prediction`, or other data" in result.err


class Constant(Scorer):
    """Learns, without a gradient, how often an entity is a tail."""

    def __init__(self, triples: int) -> None:
        super().__init__()
        self.register_buffer("counts", torch.zeros(triples))

    def learn(self, triples: Triples) -> None:
        self.relations = len(triples.relations)
        tails = torch.from_numpy(triples.splits["train"][:, 2].copy()).long()
        self.counts = torch.bincount(tails, minlength=len(triples.entities)).float()
        self.entities = len(self.counts)

    def answer(self, sources: Tensor, relations: Tensor) -> Tensor:
        return self.counts.expand(len(sources), -1)


def test_what_learns_without_gradients_makes_no_step(
    desk: Path, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = way.build_task

    def with_constant(config, spec):
        task = plain(config, spec)
        task.model = Constant(spec.summary["entities"])
        return task

    monkeypatch.setattr(way, "build_task", with_constant)
    metrics = train(lab)
    assert metrics["run/steps"] == 0
    assert metrics["test/mrr"] > 0.05
    assert Path("run/model/model.safetensors").is_file()
    assert Path("run/report.html").is_file()
