"""Ranks that hold parts of the model: they equal one process, resume to the bit, and leave one whole artifact."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import make_toy
from tests.strategies.pair import train_in_pair

STEPS, HALF, FEW = 50, 25, 8
COMMON = (
    "+experiment=toy",
    "trainer.max_epochs=-1",
    "trainer.gradient_clip_val=0.5",  # below the norms of the first steps
    "model.dropout=0",
    "callbacks.early_stopping=null",
    "callbacks.resume.interval=0.5",
    "mode.report=false",
    "mode.baseline=false",
    "launch.oversubscribe=true",
)
LONG, SHORT = f"trainer.max_steps={STEPS}", f"trainer.max_steps={FEW}"
SGD, ADAMW = ("optimizer=sgd", "optimizer.lr=0.05"), ("optimizer=adamw", "optimizer.lr=2e-3")
GPT2 = """# A decoder, for tests.
_target_: llm_lab.models.text.from_scratch
architecture: gpt2
sizes: {n_embd: 16, n_layer: 1, n_head: 2, n_inner: 32, n_positions: 512}
tokenizer: {_target_: llm_lab.data.tokenizers.Trained, kind: wordpiece, vocab_size: 401}
pooling: mean
dropout: 0.0
"""
ARCHITECTURES = {
    "modernbert": (SHORT, *SGD, "model.architecture=modernbert", "model.pooling=mean"),
    "llama": (SHORT, *SGD, "model.architecture=llama", "model.pooling=mean"),
    "gpt2": (SHORT, *SGD, "model=toy_gpt2"),
}
REFERENCES = {"sgd": (LONG, *SGD), "adamw": (LONG, *ADAMW), "short": (SHORT, *SGD), **ARCHITECTURES}
HALVES, WHOLE = "data.batch_size=8", "data.batch_size=16"  # tensor-parallel ranks work on the same rows
ALL_PARTS = "strategy.config={zero_optimization:{stage3_param_persistence_threshold:0}}"
FSDP2, TENSOR = ("strategy=fsdp2", HALVES), ("strategy=tensor_parallel", WHOLE)
ZERO = {
    "zero1_adamw": (LONG, *ADAMW, HALVES, "strategy=deepspeed_zero1"),
    "zero2_sgd": (
        *(LONG, *SGD, "strategy=deepspeed_zero2"),
        *("data.batch_size=4", "trainer.accumulate_grad_batches=2"),
    ),
    "zero2-offload_adamw": (LONG, *ADAMW, HALVES, "strategy=deepspeed_zero2_offload"),
    "zero3_sgd": (LONG, *SGD, HALVES, "strategy=deepspeed_zero3", ALL_PARTS),
    "zero3-offload_adamw": (LONG, *ADAMW, HALVES, "strategy=deepspeed_zero3_offload", ALL_PARTS),
}
RESUMED_ZERO = tuple(ZERO)
ZERO["zero1-offload_short"] = (SHORT, *SGD, HALVES, "strategy=deepspeed_zero1_offload")
JOBS = {
    "fsdp2_sgd": (
        *(LONG, *SGD, "strategy=fsdp2", "strategy.activation_checkpointing=true"),
        *("data.batch_size=4", "trainer.accumulate_grad_batches=2"),
    ),
    "fsdp2_adamw": (LONG, *ADAMW, *FSDP2),
    "tensor_sgd": (LONG, *SGD, *TENSOR),
    "tensor_adamw": (LONG, *ADAMW, *TENSOR),
    **{f"tensor_{name}": (*words, *TENSOR) for name, words in ARCHITECTURES.items()},
}
RESUMED = ("fsdp2_adamw", "tensor_adamw", *RESUMED_ZERO)
TOLERANCE = {"adamw": 2e-5}  # of others 1e-6
MESH = (SHORT, *SGD, HALVES, "strategy=fsdp2_tensor_parallel")
needs_deepspeed = pytest.mark.skipif(
    importlib.util.find_spec("deepspeed") is None,
    reason="DeepSpeed is not installed: pip install 'llm-lab[deepspeed]'",
)
ALL = [*JOBS, *(pytest.param(name, marks=needs_deepspeed) for name in ZERO)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    from llm_lab.__main__ import main
    from tests.conftest import forget_handlers

    folder = make_toy(tmp_path_factory.mktemp("sharded"), rows=600)
    (folder / "conf/model/toy_gpt2.yaml").write_text(GPT2)
    before = Path.cwd()
    os.chdir(folder)
    for name, words in REFERENCES.items():
        assert main([*COMMON, *words, WHOLE, f"hydra.run.dir={name}"]) == 0
        forget_handlers()
    jobs = JOBS | (ZERO if importlib.util.find_spec("deepspeed") else {})
    train_in_pair(
        folder,
        {name: [*COMMON, *words] for name, words in jobs.items()},
        resumed={name: HALF for name in RESUMED if name in jobs},
    )
    yield folder
    os.chdir(before)


def weights(run: Path) -> dict[str, torch.Tensor]:
    """The artifact's weights but for the biases of attention keys, whose gradient is rounding noise."""
    saved = load_file(run / "model" / "model.safetensors")
    return {name: value for name, value in saved.items() if not name.endswith(("key.bias", "c_attn.bias"))}


def metrics(run: Path) -> dict[str, Any]:
    return json.loads((run / "metrics.json").read_text())


def distance(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


@pytest.mark.parametrize("name", ALL)
def test_parts_equal_one_process(name: str, runs: Path) -> None:
    kind = name.rpartition("_")[2]
    assert distance(weights(runs / kind), weights(runs / name)) < TOLERANCE.get(kind, 1e-6)
    alone, together = metrics(runs / kind), metrics(runs / name)
    assert together["run/world_size"] == 2
    for figure in ("val/loss", "test/loss", "test/accuracy", "test/f1"):
        assert together[figure] == pytest.approx(alone[figure], abs=1e-4), figure


def test_the_reference_learned(runs: Path) -> None:
    for kind in ("sgd", "adamw"):
        assert metrics(runs / kind)["run/steps"] == STEPS
    assert distance(weights(runs / "sgd"), weights(runs / "short")) > 1e-2


@pytest.mark.parametrize("name", [one for one in ALL if getattr(one, "values", [one])[0] in RESUMED])
def test_a_resumed_run_equals_the_uninterrupted_one(name: str, runs: Path) -> None:
    assert distance(weights(runs / name), weights(runs / f"{name}-resumed")) == 0


def test_shards_put_together_are_the_artifact(runs: Path) -> None:
    folder = best(runs / "fsdp2_adamw")
    parts = [torch.load(folder / f"rank-{rank}.ckpt", weights_only=True)["state_dict"] for rank in range(2)]
    saved = load_file(runs / "fsdp2_adamw" / "model" / "model.safetensors")
    for name, value in saved.items():
        shards = [part[f"model.{name}"] for part in parts]
        assert shards[0].numel() < value.numel() or value.numel() == 1, name
        assert torch.equal(torch.cat(shards), value), name


@needs_deepspeed
def test_weights_of_a_zero_checkpoint_are_the_artifact(runs: Path) -> None:
    stored = load_file(best(runs / "zero3_sgd") / "weights.safetensors")
    saved = load_file(runs / "zero3_sgd" / "model" / "model.safetensors")
    for name, value in saved.items():
        assert torch.equal(stored[f"model.{name}"], value), name


def best(run: Path) -> Path:
    from llm_lab.modes.checkpoints import best_point

    folder = best_point(run)
    assert folder is not None and folder.is_dir() and folder.name.startswith("best-")
    return folder


@pytest.mark.parametrize("how", ["truncated", "missing", "planted"])
def test_a_torn_folder_is_passed_over(how: str, runs: Path, tmp_path: Path) -> None:
    from llm_lab.modes.checkpoints import resume_point

    shutil.copytree(runs / "fsdp2_adamw" / "checkpoints", tmp_path / "checkpoints")
    newest = tmp_path / "checkpoints" / f"step-{STEPS}.ckpt"
    part = newest / "rank-1.ckpt"
    assert resume_point(tmp_path) == newest
    if how == "truncated":
        os.truncate(part, part.stat().st_size // 2)
    elif how == "missing":
        part.unlink()
    else:
        torch.save({"state_dict": Canary(tmp_path / "canary")}, part)
        sizes = {file.name: file.stat().st_size for file in newest.iterdir()}
        (newest / "files.json").write_text(json.dumps(sizes))
    assert resume_point(tmp_path) == tmp_path / "checkpoints" / f"step-{HALF}.ckpt"
    assert not (tmp_path / "canary").exists()


class Canary:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_a_folder_that_a_kill_left_half_written_is_none(runs: Path, tmp_path: Path) -> None:
    from llm_lab.modes.checkpoints import resume_point

    source = runs / "fsdp2_adamw" / "checkpoints"
    shutil.copytree(source / f"step-{HALF}.ckpt", tmp_path / "checkpoints" / f"step-{HALF}.ckpt")
    shutil.copytree(source / f"step-{STEPS}.ckpt", tmp_path / "checkpoints" / f".step-{STEPS}.ckpt.tmp")
    assert resume_point(tmp_path) == tmp_path / "checkpoints" / f"step-{HALF}.ckpt"


def test_another_number_of_ranks_is_told(runs: Path) -> None:
    from llm_lab.errors import RunError
    from llm_lab.strategies.folder import load_part

    with pytest.raises(RunError, match="written by 2 ranks; go on with as many, not with 4"):
        load_part(best(runs / "fsdp2_adamw"), 0, 4)


def test_a_mesh_of_two_dimensions(runs: Path) -> None:
    train_in_pair(runs, {"mesh": [*COMMON, *MESH]}, ranks=4)
    assert distance(weights(runs / "short"), weights(runs / "mesh")) < 1e-6
    assert metrics(runs / "mesh")["test/loss"] == pytest.approx(
        metrics(runs / "short")["test/loss"], abs=1e-6
    )
