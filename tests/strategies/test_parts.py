"""What the strategies for models in parts are made of, without ranks."""

from __future__ import annotations

import importlib
import json
import logging
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn

from llm_lab.errors import ConfigError, RunError
from llm_lab.models.wrapper import outline
from llm_lab.strategies import zero_library
from llm_lab.strategies.auto import Auto
from llm_lab.strategies.plans import tensor_parallel
from llm_lab.strategies.stream import TYPES, Entry, own_tensors, write_stream
from llm_lab.strategies.styles import reorder
from llm_lab.strategies.zero_config import settings


class Mixed(nn.Module):
    """A parameter or buffer of every type and of odd shapes, two of them shared."""

    def __init__(self) -> None:
        super().__init__()
        for number, dtype in enumerate(TYPES):
            self.register_buffer(f"number_{number}", (torch.rand(number, 3) * 100).to(dtype))
        self.inner = nn.Linear(3, 5)
        self.tied = self.inner
        self.scalar = nn.Parameter(torch.tensor(1.5))
        self.transposed = nn.Parameter(torch.rand(4, 6).t())
        self.register_buffer("forgotten", torch.ones(2), persistent=False)


def test_streamed_weights_are_read_by_safetensors(tmp_path: Path) -> None:
    model = Mixed()
    write_stream(Auto().entries(model), tmp_path / "w.safetensors")
    expected = {name: value for name, value in model.state_dict().items() if not name.startswith("tied.")}
    read = load_file(tmp_path / "w.safetensors")
    assert read.keys() == expected.keys()
    for name, value in expected.items():
        assert read[name].dtype == value.dtype
        assert torch.equal(read[name], value), name


def test_one_whole_tensor_is_held_at_a_time(tmp_path: Path) -> None:
    alive: list[weakref.ref[torch.Tensor]] = []

    def fetch() -> torch.Tensor:
        assert not any(one() is not None for one in alive)
        whole = torch.rand(100)
        alive.append(weakref.ref(whole))
        return whole

    entries = [Entry(f"w{number}", (100,), torch.float32, fetch) for number in range(3)]
    for path in (tmp_path / "w.safetensors", None):
        write_stream(entries, path)
    assert len(alive) == 6


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(0, 1))
def test_fused_projections_come_back_in_order(outer: int, inner: int, rest: int, axis: int) -> None:
    values = (
        torch.arange(outer * inner * rest * 2).view(2, -1)
        if axis
        else torch.arange(outer * inner * rest * 2).view(-1, 2)
    )
    there = reorder(values, axis, outer, inner)
    assert torch.equal(reorder(there, axis, inner, outer), values)
    own = there.chunk(inner, axis)[0]  # of the first rank: its share of every projection
    shares = [part.chunk(inner, axis)[0] for part in values.chunk(outer, axis)]
    assert torch.equal(own, torch.cat(shares, axis))


def test_an_outline_is_taken_apart_without_the_model() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2)))
    twin: Any = outline(model)
    assert [id(tensor) for _, _, tensor in own_tensors(twin)] == [
        id(tensor) for _, _, tensor in own_tensors(model)
    ]
    twin[1][0].weight = nn.Parameter(torch.zeros(2, 2))
    del twin[0]
    assert len(model) == 2
    assert model[1][0].weight.abs().sum() > 0


def test_an_architecture_without_a_plan_is_told_which_have_one() -> None:
    model: Any = nn.Module()
    model.config = SimpleNamespace(model_type="mamba", base_model_tp_plan=None)
    with pytest.raises(
        ConfigError, match=r"no tensor-parallel plan for a mamba model; .*bert.*modernbert.*gpt2.*llama"
    ):
        tensor_parallel(model, SimpleNamespace(size=lambda: 2))  # type: ignore[arg-type]


def test_heads_that_the_ranks_do_not_divide_are_named() -> None:
    model: Any = nn.Module()
    model.config = SimpleNamespace(model_type="bert", num_attention_heads=3)
    with pytest.raises(ConfigError, match="num_attention_heads of 3 cannot be divided by 2 ranks"):
        tensor_parallel(model, SimpleNamespace(size=lambda: 2))  # type: ignore[arg-type]


PLAIN = {"stage": 2, "offload_optimizer": False, "offload_parameters": False, "cpu_adam": False}


def test_a_deepspeed_file_has_the_last_word_but_where_others_decide(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = {
        "zero_optimization": {"reduce_bucket_size": 7, "overlap_comm": "auto"},
        "train_micro_batch_size_per_gpu": "auto",
        "optimizer": {"type": "AdamW"},
        "wall_clock_breakdown": True,
    }
    (tmp_path / "ds.json").write_text(json.dumps(theirs))
    with caplog.at_level(logging.WARNING):
        found = settings(**PLAIN, own=str(tmp_path / "ds.json"))
    assert found["zero_optimization"] | {"stage": 2, "reduce_bucket_size": 7} == found["zero_optimization"]
    assert "overlap_comm" not in found["zero_optimization"]
    assert found["wall_clock_breakdown"] is True
    assert "optimizer" not in found and "train_micro_batch_size_per_gpu" not in found
    assert [record.getMessage() for record in caplog.records] == [
        "strategy.config: optimizer is left out, optimizer decides it here"
    ]


@pytest.mark.parametrize(
    ("text", "message"), [(None, "cannot be read"), ("{", "is not JSON"), ("[]", "holds no JSON object")]
)
def test_a_deepspeed_file_that_is_none(text: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "ds.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=rf"ds\.json {message}"):
        settings(**PLAIN, own=str(path))


def missing(_: str) -> None:
    raise ModuleNotFoundError("No module named 'deepspeed'", name="deepspeed")


def broken(_: str) -> None:
    raise RuntimeError("built for another torch\nand more")


@pytest.mark.parametrize(
    ("load", "message"),
    [
        (missing, r"pip install 'llm-lab\[deepspeed\]'"),
        (broken, "cannot be imported: built for another torch$"),
    ],
)
def test_a_missing_deepspeed_is_one_line(load: Any, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib, "import_module", load)
    with pytest.raises(RunError, match=message):
        zero_library.require()


def test_a_missing_compiler_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zero_library.shutil, "which", lambda _: None)
    with pytest.raises(RunError, match=r"strategy\.cpu_adam: .* no C\+\+ compiler"):
        zero_library.announce_builds()
