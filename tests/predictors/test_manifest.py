"""Rows of a manifest whose files cannot be used are told apart from those that can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_lab.data.multimodal.inputs import Inputs
from llm_lab.data.record import UnusableError
from llm_lab.predictors.manifest import ManifestClassifier
from tests.multimodal import picture


@pytest.fixture
def reader(tmp_path: Path) -> ManifestClassifier:
    """What reads a manifest in ``tmp_path``, without the model behind it."""
    classifier = ManifestClassifier.__new__(ManifestClassifier)
    classifier.inputs = Inputs({"picture": {"kind": "image", "size": 4}}, key="inputs")
    classifier.root = tmp_path
    return classifier


@pytest.mark.parametrize(
    "cell",
    [
        None,
        "",
        "a\0b.png",
        "n" * 5000,
        "loop.png",
        np.zeros((9, 2, 9)),
        [],
        {"bytes": None, "path": None},
        float("nan"),
    ],
    ids=["none", "nothing", "nul", "long", "loop", "array", "empty", "hub", "nan"],
)
def test_a_bad_cell_is_the_problem_of_its_row(cell: Any, reader: ManifestClassifier, tmp_path: Path) -> None:
    (tmp_path / "loop.png").symlink_to("loop.png")
    picture(tmp_path / "red.png", "red", np.random.default_rng(0))
    assert isinstance(reader._cells({"picture": cell}), UnusableError)
    assert isinstance(reader._cells({"picture": "red.png"}), dict)
    assert isinstance(reader._cells({"picture": np.zeros((4, 4))}), dict)
