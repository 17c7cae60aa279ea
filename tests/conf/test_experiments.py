"""Two optimizer steps of every experiment, on its real data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conf.test_shape import EXPERIMENTS, name
from tests.conftest import ROOT, Result

OFFLINE = ("no copy", "offline", "network", "LLM_LAB_MIRROR")


@pytest.mark.parametrize("path", EXPERIMENTS, ids=name)
def test_two_steps(
    path: Path, lab: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(ROOT)
    result = lab(f"+experiment={path.stem}", "+debug=smoke", "logger=none", f"hydra.run.dir={tmp_path}")
    if result.code == 1 and any(word in result.err for word in OFFLINE):
        pytest.skip(f"data not to be had here: {result.err.strip()}")
    assert result.code == 0, result.err
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["run/steps"] == 2
    assert 0 <= metrics["test/accuracy"] <= 1
    assert (tmp_path / "model" / "model.safetensors").is_file()
