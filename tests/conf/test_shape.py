"""The configuration is code: small, commented, mirrored by the package, every choice composable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT, Result

CONF = ROOT / "conf"
EXPERIMENTS = sorted([*CONF.glob("experiment/*.yaml"), *ROOT.glob("experiments/*/experiment/*.yaml")])
CHOICES = sorted(path for path in CONF.rglob("*.yaml") if path.parent != CONF and "hydra" not in path.parts)
ROOMS = {
    "task": "tasks",
    "model": "models",
    "data": "data",
    "baseline": "baselines",
    "optimizer": "optim",
    "scheduler": "optim",
    "strategy": "strategies",
}
name = lambda path: str(path.relative_to(ROOT).with_suffix(""))  # noqa: E731


@pytest.mark.parametrize("path", EXPERIMENTS, ids=name)
def test_an_experiment_is_short_and_says_what_to_expect(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 25
    expected = yaml.safe_load(text)["expected"]
    assert {"metric", "value", "tolerance", "seeds", "minutes", "source"} <= expected.keys()


@pytest.mark.parametrize("path", CHOICES, ids=name)
def test_a_choice_begins_with_a_comment(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert any(line.startswith("# ") and not line.startswith("# @package") for line in lines[:2])


@pytest.mark.parametrize("path", CHOICES, ids=name)
def test_a_choice_points_into_its_own_room(path: Path) -> None:
    group = path.relative_to(CONF).parts[0]
    node = yaml.safe_load(path.read_text()) or {}
    nodes = [node] if "_target_" in node else [item for item in node.values() if isinstance(item, dict)]
    for target in filter(None, (item.get("_target_") for item in nodes)):
        if group in ROOMS and target.startswith("llm_lab."):
            assert target.split(".")[1] == ROOMS[group]


@pytest.mark.parametrize("path", EXPERIMENTS, ids=name)
def test_an_experiment_passes_both_stages_of_the_check(
    path: Path, lab: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    result = lab("check", f"+experiment={path.stem}", "--deep")
    assert result.code == 0, result.err
