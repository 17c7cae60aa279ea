"""What cannot run on a model in parts is told before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llm_lab.config import rules_sharded as rules

ZERO = {"_target_": rules.ZERO, "stage": 2}
ADAMW, MUON = ({"_target_": f"llm_lab.optim.{name}"} for name in ("optimizers.adamw", "muon.muon"))
ADAFACTOR = {"_target_": "torch.optim.Adafactor"}
EMA = {"average": {"_target_": "llm_lab.callbacks.averaging.EMA"}}


def sharded(data: int | None = None, tensor: int | None = 1) -> dict[str, Any]:
    return {"_target_": rules.SHARDED, "data_parallel": data, "tensor_parallel": tensor}


def found(rule: Any, **values: Any) -> list[str]:
    return [
        f"{fault.key}: {fault.message}"
        for fault in rule({"trainer": {"devices": 4, "num_nodes": 1}, **values})
    ]


@pytest.mark.parametrize(
    ("strategy", "optimizer", "wrong"),
    [
        (ZERO, MUON, 1),
        (ZERO, ADAFACTOR, 1),
        (ZERO, ADAMW, 0),
        (sharded(), ADAFACTOR, 1),
        (sharded(), MUON, 0),
    ],
)
def test_optimizers_that_need_whole_matrices(strategy: Any, optimizer: Any, wrong: int) -> None:
    assert len(found(rules.optimizer_of_parts, strategy=strategy, optimizer=optimizer)) == wrong


def test_no_average_of_a_model_in_parts() -> None:
    assert found(rules.averages_of_whole_models, strategy=ZERO, callbacks=EMA)[0].startswith(
        "callbacks.average"
    )
    ddp = {"_target_": "llm_lab.strategies.ddp.DDP"}
    assert not found(rules.averages_of_whole_models, strategy=ddp, callbacks=EMA | {"none": None})


@pytest.mark.parametrize(
    ("data", "tensor", "wrong"),
    [
        (None, 1, 0),
        (None, 2, 0),
        (1, None, 0),
        (2, 2, 0),
        (None, 3, 1),
        (3, None, 1),
        (2, 1, 1),
        (8, None, 1),
    ],
)
def test_the_mesh_makes_the_ranks(data: int | None, tensor: int | None, wrong: int) -> None:
    assert len(found(rules.mesh_makes_the_ranks, strategy=sharded(data, tensor))) == wrong


def test_heads_that_cannot_be_shared_out() -> None:
    model = {"sizes": {"num_attention_heads": 6, "intermediate_size": 64}}
    text = found(rules.layers_can_be_cut, strategy=sharded(1, None), model=model)
    assert text == ["model.sizes.num_attention_heads: 6 cannot be divided by 4 tensor-parallel ranks"]
    assert not found(rules.layers_can_be_cut, strategy=sharded(None, 2), model=model)
    assert not found(rules.layers_can_be_cut, strategy=ZERO, model=model)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"offload_parameters": True}, "strategy.offload_parameters"),
        ({"cpu_adam": True}, "strategy.cpu_adam"),
        ({"cpu_adam": True, "offload_optimizer": True, "stage": 3, "offload_parameters": True}, ""),
    ],
)
def test_settings_of_zero_that_contradict_each_other(settings: dict[str, Any], key: str) -> None:
    text = found(rules.zero_settings_agree, strategy=ZERO | settings, optimizer=ADAMW)
    assert [line.partition(":")[0] for line in text] == ([key] if key else [])


def test_zero_clips_by_norm_only() -> None:
    trainer = {"gradient_clip_algorithm": "value"}
    assert found(rules.zero_settings_agree, strategy=ZERO, trainer=trainer)


def test_heads_of_pretrained_weights(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"num_attention_heads": 12, "intermediate_size": 1536}')
    model: dict[str, Any] = {"source": f"file://{tmp_path}"}
    strategy, five = sharded(1, None), {"devices": 5, "num_nodes": 1}
    heads, hidden = found(rules.layers_can_be_cut, strategy=strategy, model=model, trainer=five)
    assert heads == (
        "model.source: its num_attention_heads, 12, cannot be divided by 5 tensor-parallel ranks"
    )
    assert "intermediate_size, 1536" in hidden
    assert not found(rules.layers_can_be_cut, strategy=strategy, model=model)
    for elsewhere in (f"file://{tmp_path}/none", "hf://org/name", "no asset", None):
        model = {"source": elsewhere}
        assert not found(rules.layers_can_be_cut, strategy=strategy, model=model, trainer=five)


def test_a_file_for_deepspeed_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (line,) = found(rules.file_for_deepspeed, strategy=ZERO | {"config": "zero.json"})
    assert line == "strategy.config: there is no file zero.json"
    (tmp_path / "zero.json").write_text("{}")
    rights: list[Any] = ["zero.json", None, {"zero_optimization": {}}]
    for right in rights:
        assert not found(rules.file_for_deepspeed, strategy=ZERO | {"config": right})


@pytest.mark.parametrize(
    ("strategy", "method", "wrong"),
    [
        (sharded(1, None), "layers.lora", 1),
        (sharded(None, 2), "prompts.prefix", 1),
        (sharded(1, None), "partial.Partial", 0),
        (sharded(), "layers.lora", 0),
        (ZERO, "prompts.prefix", 0),
    ],
)
def test_what_is_beside_the_layers_is_not_cut(strategy: Any, method: str, wrong: int) -> None:
    faults = found(rules.little_that_is_cut, strategy=strategy, peft={"_target_": f"llm_lab.peft.{method}"})
    assert len(faults) == wrong
    assert all(one.startswith(f"peft: {method.rpartition('.')[2]} adds to layers") for one in faults)
    assert not found(rules.little_that_is_cut, strategy=strategy, peft=None)
