"""Rules about several ranks, in the words that a user reads."""

from __future__ import annotations

from typing import Any

import pytest

from llm_lab.config import rules_strategy as rules
from llm_lab.config.rules import numbers_in_range

DDP = "llm_lab.strategies.ddp.DDP"
LOCAL = "llm_lab.strategies.local_sgd.LocalSGD"


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "SLURM_NTASKS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(rules, "cores", lambda: 2)
    monkeypatch.setattr(rules, "_gpus", lambda: 0)


def values(target: str = DDP, devices: Any = 2, **strategy: Any) -> dict[str, Any]:
    trainer = {"devices": devices, "accelerator": "auto", "num_nodes": 1, "accumulate_grad_batches": 1}
    return {
        "strategy": {"_target_": target, **strategy},
        "trainer": trainer,
        "launch": {"oversubscribe": False},
    }


def told(rule: Any, config: dict[str, Any]) -> list[str]:
    return [f"{fault.key}: {fault.message} - {fault.suggestion}" for fault in rule(config)]


def test_more_ranks_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(rules.ranks_fit_the_machine, values(devices=2)) == []
    expected = (
        "trainer.devices: 3 ranks are more than the 2 cores of this machine"
        " - launch.oversubscribe=true runs them all the same"
    )
    assert told(rules.ranks_fit_the_machine, values(devices=3)) == [expected]
    assert told(rules.ranks_fit_the_machine, values(devices=3) | {"launch": {"oversubscribe": True}}) == []
    monkeypatch.setenv("SLURM_NTASKS", "3")  # another machine than this one may be meant
    assert told(rules.ranks_fit_the_machine, values(devices=3)) == []


@pytest.mark.parametrize("devices", [4, "4", [0, 1, 2, 3]])
def test_more_ranks_than_gpus(devices: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "_gpus", lambda: 3)
    (line,) = told(rules.ranks_fit_the_machine, values(devices=devices))
    assert line == "trainer.devices: 4 ranks are more than the 3 GPUs of this machine - trainer.devices=3"


def test_a_strategy_for_several_ranks_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = (
        "strategy: DDP needs several ranks, but trainer.devices is 1 - trainer.devices=2, or strategy=auto"
    )
    assert told(rules.strategy_has_ranks, values(devices=1)) == [expected]
    for fine in (values(devices="auto"), values("llm_lab.strategies.auto.Auto", 1)):
        assert told(rules.strategy_has_ranks, fine) == []
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert told(rules.strategy_has_ranks, values(devices=1)) == []


def test_what_a_static_graph_cannot_do() -> None:
    assert told(rules.static_graph_as_it_can, values(static_graph=True)) == []
    config = values(static_graph=True, find_unused_parameters=True)
    config["trainer"]["accumulate_grad_batches"] = 4
    keys = [line.split(":")[0] for line in told(rules.static_graph_as_it_can, config)]
    assert keys == ["strategy.find_unused_parameters", "strategy.static_graph"]


def test_no_average_of_weights_that_differ() -> None:
    ema = {"callbacks": {"ema": {"_target_": "llm_lab.callbacks.averaging.EMA"}, "gone": None}}
    (line,) = told(rules.averages_of_one_model, values(LOCAL, every=8) | ema)
    assert line.startswith("callbacks.ema: each rank would average its own weights")
    assert told(rules.averages_of_one_model, values(LOCAL, every=1) | ema) == []
    assert told(rules.averages_of_one_model, values(DDP) | ema) == []


@pytest.mark.parametrize("devices", [0, -3, [], "two", "0", "0,1"])
def test_devices_that_say_no_number(devices: Any) -> None:
    (line,) = told(rules.devices_can_be_counted, values(devices=devices))
    assert line == (
        f"trainer.devices: `{devices}` does not say how many ranks there are"
        " - a number from 1 on, a list such as [0,1], or auto (or -1) for every device"
    )


@pytest.mark.parametrize("devices", [-1, 1, 8, "auto", "-1", "2", [0], [1, 3], None])
def test_devices_that_do(devices: Any) -> None:
    assert told(rules.devices_can_be_counted, values(devices=devices)) == []


@pytest.mark.parametrize(
    ("key", "value", "right"),
    [
        ("launch.restarts", -1, 0),
        ("launch.timeout", 0, 0.5),
        ("launch.timeout", float("nan"), 1),
        ("launch.timeout", float("inf"), 1),
        ("strategy.every", 0, 1),
        ("strategy.rank", 0, 1),
        ("strategy.bucket_cap_mb", 0.0, 1e-3),
        ("sweep.retries", -2, 0),
    ],
)
def test_numbers_out_of_range(key: str, value: float, right: float) -> None:
    group, name = key.split(".")
    (line,) = told(numbers_in_range, {group: {name: value}})
    assert line.startswith(f"{key}: must be ")
    assert told(numbers_in_range, {group: {name: right}}) == []
