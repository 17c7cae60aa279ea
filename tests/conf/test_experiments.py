"""Two optimizer steps of every experiment, on its real data."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.conf.test_shape import EXPERIMENTS, name
from tests.conftest import ROOT, Result

OFFLINE = ("no copy", "offline", "network", "LLM_LAB_MIRROR", "is not installed")


@pytest.mark.parametrize("path", EXPERIMENTS, ids=name)
def test_two_steps(
    path: Path, lab: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    monkeypatch.chdir(tmp_path)  # where the runs lie that this one asks for
    result = lab(f"+experiment={path.stem}", "+debug=smoke", "logger=none", "hydra.run.dir=run")
    if result.code == 1 and any(word in result.err for word in OFFLINE):
        pytest.skip(f"not to be had here: {result.err.strip()}")
    assert result.code == 0, result.err
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["run/steps"] == (2 if metrics["run/trainable_parameters"] else 0)  # rules need no gradient
    assert math.isfinite(metrics[yaml.safe_load(path.read_text())["expected"]["metric"]])
    assert (tmp_path / "run" / "model" / "model.safetensors").is_file()
