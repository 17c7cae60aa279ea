"""The cost ledger: what was done is counted right, once, and over all parts of a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, Trainer
from torch import Tensor, nn

from llm_lab.tracking import flops, ledger
from llm_lab.tracking.clock import Clock
from llm_lab.tracking.cost import dtype_of, energy
from llm_lab.tracking.energy import EnergyMeter
from llm_lab.tracking.ledger import Ledger

Fit = Callable[..., Trainer]


class Linear(nn.Module):
    """One linear layer over the last axis of ``x``, for which the number of operations is known."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layer = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


def linear_shape(rows: int, inputs: int) -> flops.Shape:
    return (("x", (rows, inputs), "float32"),)


def test_linear_layer_costs_what_the_formula_says() -> None:
    shapes = {linear_shape(3, 5): 10, linear_shape(2, 5): 1}
    forward = 2 * 5 * 7 * (3 * 10 + 2)
    assert flops.count(Linear(5, 7), shapes, train=False) == forward
    assert flops.count(Linear(5, 7), shapes, train=True) == 2 * forward  # no gradient of the data is needed


def test_transformer_with_many_lengths_costs_the_sum_of_each() -> None:
    from transformers import BertConfig, BertForSequenceClassification

    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    model = BertForSequenceClassification(BertConfig(vocab_size=9, **sizes))
    shapes = {
        tuple((name, (4 + length % 3, length), "int64") for name in ("input_ids", "attention_mask")): length
        for length in range(3, 10)
    }
    together = flops.count(model, shapes, train=False)
    assert together == sum(
        flops.count(model, {shape: times}, train=False) or 0 for shape, times in shapes.items()
    )
    tokens, hidden, inner = 4 * 6, 8, 16
    layer = tokens * (8 * hidden**2 + 4 * hidden * inner) + 4 * 4 * 6**2 * hidden
    head = 4 * (2 * hidden**2 + 2 * hidden * 2)
    one = {tuple((name, (4, 6), "int64") for name in ("input_ids", "attention_mask")): 1}
    assert flops.count(model, one, train=False) == layer + head


def test_model_that_looks_at_values_is_unknown_not_wrong() -> None:
    class Looks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x) if x.sum() > 0 else x

    assert flops.count(Looks(), {linear_shape(2, 2): 1}, train=True) is None


def test_counting_leaves_the_model_alone() -> None:
    model = Linear(3, 3)
    before = model.layer.weight.clone()
    flops.count(model, {linear_shape(2, 3): 1}, train=True)
    assert torch.equal(model.layer.weight, before)
    assert model.layer.weight.grad is None


def test_run_is_counted(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "known_peak", lambda *_, **__: 1e9)
    book = Ledger(price_per_hour=3600, currency="EUR", watts_per_core=2)
    fit(book, epochs=2)
    figures = book.figures()
    assert figures["run/examples"] == 20
    assert figures["run/tokens"] == 20 * 4
    assert figures["run/padding_share"] == pytest.approx(1 / 3)
    forward = 2 * 4 * 2 * 6 * 20
    assert figures["run/train_flops"] == 3 * forward  # the embedding needs the gradient of the layer's input
    assert figures["run/flops"] > figures["run/train_flops"]
    assert figures["run/peak_share"] == pytest.approx(figures["run/flops_per_second"] / 1e9)
    assert figures["run/cost"] == pytest.approx(figures["run/seconds"], rel=0.2)
    assert figures["run/currency"] == "EUR"
    assert figures["run/peak_rss_bytes"] > 1e6
    phases = [value for key, value in figures.items() if key.startswith("run/seconds_")]
    assert sum(phases) == pytest.approx(figures["run/seconds"])
    assert {"run/seconds_fit", "run/seconds_validate"} <= figures.keys()
    assert 0 < figures["run/train_seconds"] <= figures["run/seconds_fit"]


class Snapshot(Callback):
    """Saves a checkpoint after some steps, and may fail there."""

    def __init__(self, path: Path, *, step: int, fail: bool) -> None:
        self.path, self.step, self.fail = path, step, fail

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)
        if self.fail and trainer.global_step == self.step + 1:
            raise KeyboardInterrupt


@pytest.mark.parametrize("kept", ["run directory", "checkpoint only"])
def test_resumed_run_pays_for_earlier_parts(fit: Fit, tmp_path: Path, kept: str) -> None:
    checkpoint, note = tmp_path / "a.ckpt", tmp_path / "ledger.json"
    noted = kept == "run directory"
    file = note if noted else None
    with pytest.raises(SystemExit):
        fit(Ledger(file=file), Snapshot(checkpoint, step=3, fail=True), epochs=2)
    book = Ledger(file=file)
    fit(book, epochs=2, ckpt_path=checkpoint)
    lost = 2 if noted else 0  # the fourth step was lost, but it was paid for
    assert book.state_dict()["counts"]["examples"] == 20 + lost
    assert book.figures()["run/parts"] == 2
    if noted:
        assert json.loads(note.read_text())["counts"]["examples"] == 20 + lost


def test_state_holds_only_primitives(fit: Fit) -> None:
    book = Ledger()
    fit(book)
    assert json.loads(json.dumps(book.state_dict())) == book.state_dict() | {
        "seconds": pytest.approx(book.clock.seconds(), abs=1)
    }


def test_other_ranks_count_once_for_each_replica() -> None:
    mine = Ledger()
    mine.counts.update(tokens=10, examples=2)
    mine.shapes["train", linear_shape(2, 5)] += 1
    other = Ledger()
    other.counts.update(tokens=7, examples=1)
    other.shapes["train", linear_shape(1, 5)] += 3
    other.train_seconds = 5.0
    shares_my_rows = {**other.state_dict(), "replica": 0}
    mine.join([shares_my_rows, {**other.state_dict(), "replica": 1}, {**other.state_dict(), "replica": 1}])
    assert mine.counts["tokens"] == 17 and mine.counts["examples"] == 3 and mine.counts["parts"] == 1
    assert mine.shapes == {("train", linear_shape(2, 5)): 1, ("train", linear_shape(1, 5)): 3}
    assert mine.train_seconds == 0.0


def test_inner_phase_stops_the_outer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    clock = Clock()
    clock._seconds.clear()

    def work(seconds: float) -> None:
        now[0] += seconds

    work(1)
    with clock.phase("fit"):
        work(10)
        with clock.phase("validate"):
            work(3)
        work(5)
    work(2)
    assert clock.seconds() == {"other": 3, "fit": 15, "validate": 3}


def test_phase_is_closed_by_an_error() -> None:
    clock = Clock()

    def fail() -> None:
        with clock.phase("fit"):
            clock.enter("validate")
            raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        fail()
    before = clock.seconds()
    assert clock.seconds()["fit"] == before["fit"]


def test_energy_counter_that_wraps_around_still_adds_up(tmp_path: Path) -> None:
    for name in ("intel-rapl:0", "intel-rapl:0:0"):  # the second is a part of the first
        (tmp_path / name).mkdir()
        (tmp_path / name / "energy_uj").write_text("9000000")
        (tmp_path / name / "max_energy_range_uj").write_text("10000000")
    meter = EnergyMeter(powercap=tmp_path)
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("500000")
    meter.sample()
    assert meter.joules["rapl"] == pytest.approx(1.5)


def test_energy_without_a_counter_is_marked_as_an_estimate() -> None:
    joules, source = energy(10, {}, 3)
    assert source == "estimate"
    assert joules > 0
    assert energy(10, {"rapl": 4.0}, 3) == (4.0, "rapl")
    assert energy(10, {"nvml": 4.0}, 3)[1] == "nvml+estimate"


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("bf16-mixed", torch.bfloat16), ("16-true", torch.float16), ("32-true", torch.float32)],
)
def test_peak_is_measured_in_the_dtype_of_the_run(precision: str, dtype: torch.dtype) -> None:
    assert dtype_of(precision) == dtype
