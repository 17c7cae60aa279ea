"""Runs that tune little: from the command line to an artifact that evaluates and predicts, and on after a stop."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tests.conftest import Result
from tests.modes.test_resume import WORDS, train_and_stop
from tests.peft.test_methods import KEPT, METHODS

QUICK = ("mode.report=false", "mode.baseline=false", "hydra.run.dir=run")
TEXT = "the film was bright and warm"


@pytest.mark.parametrize("name", METHODS)
def test_a_run_leaves_a_model_that_evaluates_and_predicts(
    name: str, toy: Path, lab: Callable[..., Result]
) -> None:
    result = lab("+experiment=toy", "+debug=smoke", f"peft={name}", *QUICK)
    assert result.code == 0, result.err
    metrics = json.loads((toy / "run" / "metrics.json").read_text())
    share = metrics["run/trainable_parameters"] / metrics["run/parameters"]
    assert metrics["run/trainable_share"] == pytest.approx(share)
    assert (share == 1) == (name == "full")
    assert metrics["run/optimizer_bytes"] >= 8 * metrics["run/trainable_parameters"]
    assert (toy / "run" / "model" / "base").is_dir() == (name in KEPT)

    assert lab("evaluate", "run").code == 0
    (kept,) = (toy / "run" / "evaluations").iterdir()
    again = json.loads(kept.read_text())["metrics"]
    assert again["test/loss"] == pytest.approx(metrics["test/loss"], abs=1e-4)
    (toy / "texts.csv").write_text(f"text\n{TEXT}\n")
    result = lab("predict", "run", "--input", "texts.csv", "--output", "out.csv")
    assert result.code == 0, result.err
    assert (toy / "out.csv").read_text().splitlines()[1].startswith(TEXT)


def test_plain_peft_reads_a_prefix(toy: Path, lab: Callable[..., Result]) -> None:
    assert lab("+experiment=toy", "+debug=smoke", "peft=prefix", *QUICK).code == 0
    folder = toy / "run" / "model"
    base = AutoModelForSequenceClassification.from_pretrained(folder / "base")
    inputs = AutoTokenizer.from_pretrained(folder)(TEXT, return_tensors="pt")
    with torch.no_grad():
        plain = base.eval()(**inputs).logits
        tuned = PeftModel.from_pretrained(base, str(folder)).eval()(**inputs).logits
    (toy / "texts.csv").write_text(f"text\n{TEXT}\n")
    assert lab("predict", "run", "--input", "texts.csv", "--output", "out.csv").code == 0
    probability = float((toy / "out.csv").read_text().splitlines()[1].split(",")[-1])
    assert tuned.softmax(-1).max().item() == pytest.approx(probability, abs=1e-5)
    assert not torch.allclose(plain, tuned)


@pytest.mark.parametrize("name", KEPT)
def test_a_second_run_starts_from_what_was_kept(name: str, toy: Path, lab: Callable[..., Result]) -> None:
    words = ("+experiment=toy", "+debug=smoke", *QUICK[:2])
    assert lab(*words, f"peft={name}", "hydra.run.dir=first").code == 0
    again = (*words, "model=hub", "model.source=run://first", "optimizer.lr=0")
    result = lab(*again, "hydra.run.dir=second")
    assert result.code == 0, result.err
    ends = [json.loads((toy / run / "metrics.json").read_text()) for run in ("first", "second")]
    assert ends[0]["test/loss"] == pytest.approx(ends[1]["test/loss"], abs=1e-4)
    assert ends[1]["run/trainable_share"] == 1
    result = lab(*again, "peft=lora")
    assert result.code == 2
    assert "go on with it by peft=null" in result.err
    assert lab(*again, "peft=lora", "model.source=run://first/model/base").code == 0


@pytest.mark.parametrize("name", ["lora", "adapter", "prefix"])
def test_killed_and_resumed(name: str, toy: Path, lab: Callable[..., Result]) -> None:
    words = (*WORDS, f"peft={name}", *QUICK[:2], "trainer.max_epochs=1")
    assert lab(*words, "hydra.run.dir=whole").code == 0
    train_and_stop(9, "SIGKILL", *words, "hydra.run.dir=killed", cwd=toy)
    assert not (toy / "killed" / "model").exists()
    assert lab("resume", "killed").code == 0
    files = [path.relative_to(toy / "whole") for path in (toy / "whole" / "model").rglob("*.safetensors")]
    assert len(files) == 1 + (name in KEPT)
    for file in files:
        ours, theirs = load_file(toy / "killed" / file), load_file(toy / "whole" / file)
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize("choice", ["r_drop", "fgm", "smart", "mixout", "[r_drop,mixout]"])
def test_regularizers_are_chosen_by_a_word(choice: str, toy: Path, lab: Callable[..., Result]) -> None:
    words = ("+experiment=toy", "+debug=smoke", *QUICK[:2])
    assert lab(*words, "hydra.run.dir=plain").code == 0
    result = lab(*words, f"task/regularizers={choice}", "hydra.run.dir=run")
    assert result.code == 0, result.err
    ends = [json.loads((toy / run / "metrics.json").read_text())["test/loss"] for run in ("plain", "run")]
    assert ends[0] != ends[1]
