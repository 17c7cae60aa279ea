"""What a `_target_` may name, by its text and by the object it leads to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_lab.config import allowed
from llm_lab.config.allowed import LIBRARIES, ROOMS, TargetError, admitted, catalogue, check_name
from llm_lab.config.targets import resolve
from llm_lab.errors import ConfigError


def refusal(target: Any, expected: tuple[type, ...] = (object,)) -> str:
    with pytest.raises(TargetError) as error:
        resolve(target, expected)
    return str(error.value)


@pytest.mark.parametrize(
    "target",
    [
        "llm_lab.tasks.sequence_classification.SequenceClassification",
        "torch.optim.AdamW",
        "torch.nn.Linear",
        "torchmetrics.classification.MulticlassAccuracy",
        "pytorch_lightning.Trainer",
        "pytorch_lightning.callbacks.EarlyStopping",
        "pytorch_lightning.loggers.CSVLogger",
    ],
)
def test_our_rooms_and_the_libraries_of_the_stack_are_allowed(target: str) -> None:
    assert check_name(target) == target


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "eval",
        "logging.os.system",
        "torch.load",
        "torch.hub.load",
        "torch.utils.cpp_extension.load_inline",
        "hydra.utils.get_method",
        "llm_lab.config.build",
        "llm_lab.modes.train.train",
        "llm_lab.assets.resolve",
        "llm_lab",
        "torchmetricsx.Thing",
        "pytorch_lightning.Trainers",
        "pytorch_lightning.callbacks._private.Thing",
        "torch.nn.Module.__init__.__globals__",
    ],
)
def test_nothing_else_is(target: str) -> None:
    with pytest.raises(TargetError, match=f"^{target} is not allowed"):
        check_name(target)


@pytest.mark.parametrize(
    "target", ["", ".", "torch.nn.", "torch.nn Linear", "torch.nn.Linear()", "a-b.c", "${x}"]
)
def test_what_is_no_dotted_name_is_told(target: str) -> None:
    with pytest.raises(TargetError, match="is not the dotted name of a class or a function"):
        check_name(target)


@given(target=st.text() | st.lists(st.text("abcxyz_.", min_size=1), min_size=1).map(".".join))
def test_no_text_outside_the_allowed_packages_gets_through(target: str) -> None:
    try:
        check_name(target)
    except TargetError:
        return
    assert target.startswith(tuple(f"{root}." for root in (*ROOMS, *LIBRARIES))) or target in LIBRARIES


@pytest.mark.parametrize("target", [None, 3, ["os.system"], {"a": 1}, print])
def test_a_target_is_a_text(target: Any) -> None:
    with pytest.raises(TargetError, match="must be the dotted name"):
        check_name(target)


def test_a_module_outside_is_never_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stranger.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert refusal("stranger.Thing").startswith("stranger.Thing is not allowed")


@pytest.mark.parametrize(
    ("target", "home"),
    [
        ("torch.nn.Linear", "torch.nn.modules.linear.Linear"),
        ("torch.optim.AdamW", "torch.optim.adamw.AdamW"),
    ],
)
def test_a_library_may_offer_its_classes_elsewhere(target: str, home: str) -> None:
    found: Any = resolve(target, (object,))
    assert f"{found.__module__}.{found.__qualname__}" == home


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("torch.nn.init.normal_", "a function is not built from config"),
        ("torch.nn.functional.relu", "is not built from config"),
        ("torch.nn.modules.linear.math.sqrt", "`math` is not a class"),
        ("torch.nn.modules.linear.Any", "is not allowed"),
        ("torch.nn.modules.container.OrderedDict", "it is collections.OrderedDict"),
        ("torch.nn.modules", "a module is not built from config"),
        ("torch.nn.Module.forward", "is not built from config"),
        ("torch.nn.modules.module.torch.load", "`torch` is not a class"),
        ("torch.optim.optimizer.Path", "does not exist"),
    ],
)
def test_a_library_gives_its_own_classes_and_nothing_else(target: str, reason: str) -> None:
    assert reason in refusal(target)


def test_aliases_in_our_own_modules_lead_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    import llm_lab.optim

    monkeypatch.setattr(llm_lab.optim, "os", __import__("os"), raising=False)
    monkeypatch.setattr(llm_lab.optim, "system", __import__("os").system, raising=False)
    monkeypatch.setattr(llm_lab.optim, "run", __import__("subprocess").run, raising=False)
    monkeypatch.setattr(llm_lab.optim, "Popen", __import__("subprocess").Popen, raising=False)
    assert "`os` is not a class" in refusal("llm_lab.optim.os.system")
    assert "is not built from config" in refusal("llm_lab.optim.system")
    assert refusal("llm_lab.optim.run") == "llm_lab.optim.run is not allowed (it is subprocess.run)"
    assert refusal("llm_lab.optim.Popen") == "llm_lab.optim.Popen is not allowed (it is subprocess.Popen)"


@pytest.mark.parametrize(
    ("target", "near"),
    [
        ("torch.optim.AdamV", "did you mean `torch.optim.Adam"),
        ("torch.optin.AdamW", "did you mean `torch.optim.AdamW`?"),
        (
            "llm_lab.tasks.sequence_clasification.SequenceClassification",
            "did you mean `llm_lab.tasks.sequence_classification.SequenceClassification`?",
        ),
        ("llm_lab.optim.adamw", "did you mean `llm_lab.optim.optimizers.adamw`?"),
    ],
)
def test_a_slip_is_answered_with_the_nearest_legal_target(target: str, near: str) -> None:
    assert near in refusal(target)


def test_the_catalogue_holds_what_the_shipped_configs_name() -> None:
    assert "llm_lab.optim.optimizers.adamw" in catalogue()
    assert not [name for name in catalogue() if name.rpartition(".")[2].startswith("_")]


def test_a_package_of_the_users_own_is_admitted_by_the_environment(gadgets: Path) -> None:
    assert resolve("gadgets.make", (object,)).__name__ == "make"
    assert resolve("gadgets.Box.Lid", (object,)).__qualname__ == "Box.Lid"


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("gadgets.os.system", "`os` is not a class"),
        ("gadgets.system", "is not built from config"),
        ("gadgets.Path", "it is pathlib.Path"),
        ("gadgets.Alias", "it is gadgets.Box); write gadgets.Box"),
        ("gadgets.Toy.paint", "is not built from config"),
        ("gadgets.Toy.__init__", "private"),
        ("gadgets.Missing", "gadgets has no `Missing`"),
    ],
)
def test_an_admitted_package_gives_only_what_it_defines(gadgets: Path, target: str, reason: str) -> None:
    assert reason in refusal(target)


def test_an_admitted_package_that_cannot_be_imported_says_why(
    gadgets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_LAB_ALLOW", " gadgets , ruined ")
    (gadgets / "ruined.py").write_text("1 / 0")
    assert refusal("ruined.Thing") == "ruined.Thing cannot be imported (division by zero)"


@pytest.mark.parametrize("name", ["os", "subprocess", "torch", "llm_lab.modes", "hydra.utils", "not a name"])
def test_what_is_not_the_users_own_cannot_be_admitted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_LAB_ALLOW", f"mine,{name}")
    with pytest.raises(ConfigError, match=f"^LLM_LAB_ALLOW: `?{name}`? is not "):
        admitted()


def test_an_installed_package_is_admitted_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mine-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[llm_lab.allow]\nmine = mine_package\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    allowed._installed.cache_clear()
    assert check_name("mine_package.models.Thing")
    allowed._installed.cache_clear()
