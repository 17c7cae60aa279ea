"""The benchmarks measure what they say, on jobs of a few steps."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

from llm_lab.bench import report, startup, text
from llm_lab.bench.__main__ import main
from llm_lab.bench.child import run_module
from llm_lab.bench.loops import bare, composed, lightning, with_callbacks
from llm_lab.config import build
from llm_lab.data.module import DataModule
from llm_lab.tracking.peak import matrix_peak

TOY = [
    "+experiment=toy",
    "callbacks.early_stopping=null",
    "callbacks.best=null",
    "trainer.limit_val_batches=0",
    "trainer.max_epochs=1",
    "data.batch_size=32",
    "data.limit=64",
]
FIGURES = {
    "seconds": 10.0,
    "examples_per_second": 5.0,
    "accuracy": 0.9,
    "peak_rss": 2**30,
    "share_of_peak": 0.5,
}


def test_an_unknown_name_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["txet"]) == 2
    said = capsys.readouterr().err
    assert "no benchmark txet" in said
    assert all(name in said for name in ("text", "overhead", "startup", "memory"))


def test_ratio_is_taken_within_rounds() -> None:
    assert report.ratio([1.0, 2.0, 30.0], [2.0, 4.0, 10.0]) == 0.5


def test_a_row_compares_times_and_speeds() -> None:
    rounds = {
        "bare": [FIGURES, FIGURES | {"seconds": 20.0}],
        "ours": [FIGURES | {"seconds": 5.0, "accuracy": 0.91}, FIGURES | {"seconds": 10.0, "accuracy": 0.89}],
        "trainer, by length": [FIGURES | {"seconds": 8.0}, FIGURES | {"seconds": 16.0}],
    }
    assert text.row("ours", rounds) == [
        "(b) ours",
        "7.5",
        "5",
        "0.9000 ± 0.0100",
        "1024 MB",
        "50%",
        "0.50",
        "1.60",
    ]
    assert text.row("bare", {"bare": [FIGURES]})[-2:] == ["1.00", ""]


def test_figures_are_saved_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = report.save("text", {"rounds": {"ours": [FIGURES]}}, tmp_path / "deep" / "figures.json")
    saved = json.loads(file.read_text())
    assert saved["rounds"]["ours"][0]["seconds"] == 10.0
    assert saved["torch"] == torch.__version__
    assert report.save("text", {}, None).parent.name == "bench"
    report.show("a title", ("", "seconds"), [["(b) ours", "7.5"]])
    assert "(b) ours" in capsys.readouterr().out


def test_a_failing_child_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no benchmark nothing"):
        run_module("llm_lab.bench", ["nothing"], folder=tmp_path)


def test_startup_times_every_command(tmp_path: Path) -> None:
    found = startup.measure(rounds=1)
    assert found.keys() == {*startup.COMMANDS, startup.BARE}
    assert all(0 < seconds < 60 for times in found.values() for seconds in times)


def test_both_loops_run_the_same_job(toy: Path) -> None:
    config = composed(TOY)
    assert bare(config) > 0
    assert lightning(with_callbacks(config, ["step_seed"]), ledger=False) > 0


def test_accuracy_and_operations() -> None:
    from llm_lab.bench.contestants import accuracy, operations

    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    model = BertForSequenceClassification(BertConfig(vocab_size=20, **sizes))
    nn.init.zeros_(model.classifier.weight)
    model.classifier.bias.data = torch.tensor([0.0, 1.0])  # always the second label
    ids = torch.ones(4, 3, dtype=torch.long)
    batch = {"input_ids": ids, "attention_mask": ids, "labels": torch.tensor([0, 1, 1, 1])}
    assert accuracy(model, [batch]) == 0.75
    weights = 2 * (4 * 8 * 8 + 2 * 8 * 16)
    assert operations(model, torch.tensor([3.0, 5.0])) == 6 * weights * 8 + 12 * 2 * 8 * (9 + 25)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_matrix_peak_is_a_rate_of_this_machine(dtype: torch.dtype) -> None:
    peak = matrix_peak(dtype, seconds=0.05)
    assert math.isfinite(peak)
    assert 1e8 < peak < 1e16


def test_our_contestant_trains_and_tells_its_figures(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm_lab.bench import ours

    monkeypatch.setattr(ours.way, "build_trainer", ours.way.build_trainer)  # given back after the test
    ours.main(tmp_path / "figures.json", TOY)
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["steps"] == 2
    assert figures["seconds"] > 0
    assert figures["peak_rss"] > 2**20
    assert 0 <= figures["accuracy"] <= 1


@pytest.mark.parametrize("name", ["bare", "trainer", "trainer, by length"])
def test_the_others_train_on_the_same_rows(
    name: str, toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm_lab.bench import contestants

    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    model = BertForSequenceClassification(BertConfig(vocab_size=400, **sizes))
    monkeypatch.setattr(contestants, "plain_model", lambda config, seed: model)
    monkeypatch.chdir(tmp_path)
    data = build(composed(TOY).data, expected=DataModule, key="data")
    before = model.classifier.weight.clone()
    trained, clock = contestants.CONTESTANTS[name](None, data, 1)
    assert clock.steps == len(data.train_dataloader()) == 2
    assert clock.seconds > 0
    assert not torch.equal(trained.classifier.weight.detach(), before)
