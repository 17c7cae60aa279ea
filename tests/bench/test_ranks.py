"""Benchmarks over several ranks: what they measure, and the formulas beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from llm_lab.bench import ranks, scaling, sharding
from llm_lab.bench.memory import write_table
from llm_lab.bench.probe import memory, state_bytes

TINY = ("model.sizes.hidden_size=16", "model.sizes.intermediate_size=32", "model.sizes.num_attention_heads=2")


def test_the_formula_is_that_of_the_paper() -> None:
    whole = {stage: sum(sharding.formula(100, stage, 4).values()) for stage in range(4)}
    assert whole == {0: 1600, 1: 800 + 200, 2: 400 + 300, 3: 400}


def test_a_row_takes_the_rank_that_holds_most() -> None:
    def figures(state: int, seconds: float) -> dict[str, object]:
        times = {"seconds": [seconds] * 3, "cpu_seconds": [seconds] * 3}
        return times | {
            "parameters": 1 << 20,
            "optimizer_state": state,
            "peak_rss": 9 << 20,
            "above_start": 3 << 20,
        }

    ddp, zero = [figures(8 << 20, 1.0)] * 2, [figures(4 << 20, 2.0), figures(3 << 20, 2.0)]
    found = sharding.row("deepspeed_zero1", [{"ddp": ddp, "deepspeed_zero1": zero}])
    assert found == [
        "deepspeed_zero1", "4.0 MiB", "4.0 MiB", "1.000", "12 MiB", "3 MiB", "9 MiB", "2.000 s", "2.00",
    ]  # fmt: skip


def test_state_is_measured_from_the_optimizers_tensors() -> None:
    model = nn.Linear(10, 10, bias=False)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    assert state_bytes(optimizer) == 0
    model(torch.ones(1, 10)).sum().backward()
    optimizer.step()
    assert state_bytes(optimizer) == 2 * 4 * 100 + 4  # two moments and the count of steps
    assert memory("VmHWM") >= memory("VmRSS") > 1 << 20


def test_one_rank_and_both_take_turns(tmp_path: Path) -> None:
    write_table(tmp_path / "table.csv", 80, longest=10)
    common = [*ranks.QUIET, *scaling.WORDS, *TINY, "trainer.max_steps=5"]
    jobs = {"alone": [*common, "data.batch_size=8"], "both": [*common, "data.batch_size=4", "strategy=ddp"]}
    found = ranks.measure(jobs, alone=["alone"], ranks=2, folder=tmp_path)
    assert [len(found[name]) for name in jobs] == [1, 2]
    for one in (*found["alone"], *found["both"]):
        assert len(one["seconds"]) == len(one["cpu_seconds"]) == 2
        assert one["optimizer_state"] == pytest.approx(8 * one["parameters"], rel=0.01)
        assert one["peak_rss"] > one["above_start"] >= 0
    assert scaling.step(found["both"])["clock"] > 0


def test_a_rank_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="strateggy"):
        ranks.measure({"wrong": ["strateggy=ddp"]}, ranks=1, folder=tmp_path)
