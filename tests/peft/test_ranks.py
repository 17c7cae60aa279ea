"""Ranks that tune little equal one process, and leave the artifact that it leaves."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.conftest import Result, make_toy
from tests.strategies.pair import train_in_pair

COMMON = (
    "+experiment=toy",
    "trainer.max_epochs=-1",
    "trainer.max_steps=2",
    "model.dropout=0",
    "optimizer=sgd",
    "optimizer.lr=2",
    "callbacks.early_stopping=null",
    "mode.report=false",
    "mode.baseline=false",
    "launch.oversubscribe=true",
)
STRATEGIES = {
    "ddp": ("strategy=ddp",),
    "fsdp2": ("strategy=fsdp2",),
    "zero2": ("strategy=deepspeed_zero2",),
    "zero3": (
        "strategy=deepspeed_zero3",
        "strategy.config={zero_optimization:{stage3_param_persistence_threshold:0}}",
    ),
    "tensor": ("strategy=tensor_parallel", "data.batch_size=16"),  # these ranks work on the same rows
}
EVERYWHERE = ("lora", "prefix")  # merged, and kept beside the model
NAMES = [f"{strategy}-{method}" for strategy in ("ddp", "fsdp2", "zero2", "zero3") for method in EVERYWHERE]
NAMES += ["tensor-bitfit", "zero3-adapter", "zero3-dora", "fsdp2-p_tuning"]
METHODS = sorted({name.split("-")[1] for name in NAMES})
needs_deepspeed = pytest.mark.skipif(
    importlib.util.find_spec("deepspeed") is None,
    reason="DeepSpeed is not installed: pip install 'llm-lab[deepspeed]'",
)
ALL = [pytest.param(name, marks=needs_deepspeed) if name.startswith("zero") else name for name in NAMES]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    from llm_lab.__main__ import main
    from tests.conftest import forget_handlers

    folder = make_toy(tmp_path_factory.mktemp("ranks"), rows=120)
    before = Path.cwd()
    os.chdir(folder)
    for name in METHODS:
        assert main([*COMMON, f"peft={name}", "data.batch_size=16", f"hydra.run.dir={name}"]) == 0
        forget_handlers()
    there = importlib.util.find_spec("deepspeed") is not None
    names = [name for name in NAMES if there or not name.startswith("zero")]
    train_in_pair(folder, {name: [*COMMON, "data.batch_size=8", *words(name)] for name in names})
    yield folder
    os.chdir(before)


def words(name: str) -> list[str]:
    strategy, method = name.split("-")
    return [*STRATEGIES[strategy], f"peft={method}"]


def figures(run: Path) -> dict[str, float]:
    return json.loads((run / "metrics.json").read_text())


def weights(run: Path) -> dict[str, Tensor]:
    """All tensors of an artifact, those of an adapter and those of the model beside it."""
    files = sorted((run / "model").rglob("*.safetensors"))
    return {f"{file.parent.name}/{name}": one for file in files for name, one in load_file(file).items()}


@pytest.mark.parametrize("name", ALL)
def test_ranks_equal_one_process(name: str, runs: Path) -> None:
    alone, together = runs / name.split("-")[1], runs / name
    wanted, found = weights(alone), weights(together)
    assert wanted.keys() == found.keys()
    for key, value in wanted.items():
        assert torch.allclose(found[key], value, rtol=0, atol=1e-6), key
    assert figures(together)["run/world_size"] == 2
    for figure in ("val/loss", "test/loss", "test/accuracy"):
        assert figures(together)[figure] == pytest.approx(figures(alone)[figure], abs=1e-5), figure


@pytest.mark.parametrize("name", ["lora", "dora"])
def test_what_was_learned_is_merged(name: str, runs: Path) -> None:
    key = "model/bert.encoder.layer.0.attention.self.value.weight"
    assert float((weights(runs / name)[key] - weights(runs / "bitfit")[key]).abs().max()) > 1e-4


@pytest.mark.parametrize("name", ALL)
def test_the_artifact_says_what_the_ranks_said(name: str, runs: Path, lab: Callable[..., Result]) -> None:
    result = lab("evaluate", str(runs / name))
    assert result.code == 0, result.err
    (kept,) = (runs / name / "evaluations").iterdir()
    loss = json.loads(kept.read_text())["metrics"]["test/loss"]
    assert loss == pytest.approx(figures(runs / name)["test/loss"], abs=1e-4)
