"""What shows only when the targets of a config are imported, told before any data is fetched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from llm_lab.config import deep
from llm_lab.config.compose import compose
from llm_lab.config.deep import base_of, deep_faults
from llm_lab.config.fault import Fault
from llm_lab.config.schema import GROUPS

Look = Callable[..., dict[str, Fault]]


@pytest.fixture
def look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Look:
    """Compose words in an empty folder; give the deep faults by key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(deep, "supports_bf16", lambda accelerator: True)

    def faults(*words: str) -> dict[str, Fault]:
        composed = compose(words)
        return {fault.key: fault for fault in deep_faults(composed.config, composed.origins)}

    return faults


@pytest.mark.parametrize("words", [[], ["+experiment=sentiment"], ["+experiment=sentiment", "+debug=smoke"]])
def test_what_we_ship_has_no_fault(look: Look, words: list[str]) -> None:
    assert look(*words) == {}


def test_a_target_that_does_not_exist_names_the_nearest(look: Look) -> None:
    word = "optimizer._target_=llm_lab.optim.optimizers.adamww"
    fault = look(word)["optimizer._target_"]
    assert (
        fault.message
        == "llm_lab.optim.optimizers.adamww does not exist (llm_lab.optim.optimizers has no `adamww`)"
    )
    assert fault.suggestion == "did you mean `llm_lab.optim.optimizers.adamw`?"
    assert fault.where == word


@pytest.mark.parametrize(
    "target", ["llm_lab.models.text.AutoConfig", "torch.nn.init.normal_", "llm_lab.modes.train.train"]
)
def test_a_target_that_is_not_allowed(look: Look, target: str) -> None:
    assert "is not allowed" in look(f"optimizer._target_={target}")["optimizer._target_"].message


@pytest.mark.parametrize(
    ("key", "target", "kind"),
    [
        ("optimizer", "torch.nn.Linear", "Optimizer"),
        ("model", "torch.optim.AdamW", "Module"),
        ("model.tokenizer", "torch.nn.Linear", "TokenizerSource"),
        ("task", "torch.nn.Linear", "Task"),
        ("task.metrics.accuracy", "torch.nn.Linear", "Metric"),
        ("data", "torch.nn.Linear", "DataModule"),
        ("scheduler", "torch.nn.Linear", "LRScheduler"),
        ("trainer", "torch.nn.Linear", "Trainer"),
        ("callbacks.best", "torch.nn.Linear", "Callback"),
        ("logger.wandb", "torch.nn.Linear", "Logger"),
    ],
)
def test_a_target_of_another_kind_than_its_place(look: Look, key: str, target: str, kind: str) -> None:
    fault = look(f"{key}._target_={target}")[f"{key}._target_"]
    assert fault.message == f"{target} is no kind of {kind}"


def test_every_group_that_is_built_has_a_base_that_can_be_imported() -> None:
    for name, group in GROUPS.items():
        assert isinstance(base_of(f"{name}.x" if group.mapping else name)[0], type)
    for name in deep.INNER:
        assert base_of(name.replace("*", "x")) != (object,)


def test_arguments_that_do_not_fit_are_all_told(look: Look) -> None:
    faults = look("scheduler._target_=torch.optim.lr_scheduler.CosineAnnealingLR", "+optimizer.lrr=1")
    assert faults["scheduler.warmup"].message.endswith("CosineAnnealingLR has no argument `warmup`")
    assert faults["scheduler.T_max"].message.endswith("CosineAnnealingLR needs a value for it")
    assert faults["optimizer.lrr"].suggestion == "did you mean `lr`?"
    assert faults["optimizer.lrr"].where == "+optimizer.lrr=1"
    assert set(faults) == {"scheduler.warmup", "scheduler.T_max", "optimizer.lrr"}


def test_what_the_program_gives_is_not_missing_and_cannot_be_set(look: Look) -> None:
    assert look("~scheduler.warmup", "scheduler._target_=torch.optim.lr_scheduler.LinearLR") == {}
    faults = look("+scheduler.total_steps=10", "+callbacks.best.order=3")
    assert faults["scheduler.total_steps"].message == "is given by the program and cannot be set here"
    assert set(faults) == {"scheduler.total_steps"}


@pytest.mark.parametrize("precision", ["bf16", "bf16-mixed", "bf16-true"])
def test_bf16_on_hardware_without_it(monkeypatch: pytest.MonkeyPatch, precision: str) -> None:
    lacking = {"cpu"}
    monkeypatch.setattr(deep, "supports_bf16", lambda accelerator: accelerator not in lacking)
    trainer = {"precision": precision, "accelerator": "cpu"}
    fault = deep_faults(OmegaConf.create({"trainer": trainer}), {})[0]
    assert fault.key == "trainer.precision"
    assert fault.message.startswith(f"{precision} needs hardware that computes in bfloat16")
    assert fault.suggestion == "write `auto` or `32-true`"
    for other in ({"accelerator": "gpu"}, {"precision": "32-true"}, {"precision": "auto"}):
        assert not deep_faults(OmegaConf.create({"trainer": trainer | other}), {})


def test_a_broken_package_of_the_users_own_is_a_fault(
    look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ruin.py").write_text("import nothing_of_that_name")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("LLM_LAB_ALLOW", "ruin")
    message = look("optimizer._target_=ruin.sgd")["optimizer._target_"].message
    assert message == "ruin.sgd cannot be imported (No module named 'nothing_of_that_name')"


def test_nothing_is_built(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    import hydra.utils

    monkeypatch.setattr(hydra.utils, "instantiate", SimpleNamespace())
    assert look("+experiment=sentiment") == {}
