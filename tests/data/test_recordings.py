"""Recordings become windows that no two splits share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_lab.data.record import Record
from llm_lab.data.recordings import read_windows, spectrogram
from llm_lab.data.source import Source
from llm_lab.errors import ConfigError, DataError

SAMPLES = 200


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings whose samples say where they stand."""
    path = tmp_path_factory.mktemp("recordings") / "table.csv"
    rows = "\n".join(f"{n},{-n}" for n in range(SAMPLES))
    path.write_text(f"good,bad\n{rows}\n")
    return path


def read(path: Path, **windows: Any) -> list[Record]:
    source = replace(Source(uri=str(path)), format="windows", windows=windows)
    return [row for row in read_windows(path, source, ["window", "state"]) if isinstance(row, Record)]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 60), st.floats(0, 0.4), st.floats(0, 0.4))
def test_no_sample_stands_in_two_splits(
    table: Path, length: int, stride: int, val: float, test: float
) -> None:
    seen: dict[str, set[int]] = {"train": set(), "val": set(), "test": set()}
    for row in read(table, length=length, stride=stride, val=val, test=test):
        if row.values["state"] == "good":
            seen[row.values["split"]] |= {int(sample) for sample in row.values["window"]}
    assert not (seen["train"] & seen["val"] or seen["train"] & seen["test"] or seen["val"] & seen["test"])
    assert all(
        max(seen[a]) < min(seen[b]) for a, b in (("train", "val"), ("val", "test")) if seen[a] and seen[b]
    )


def test_a_window_has_its_statistics(table: Path) -> None:
    row = read(table, length=4)[0].values
    assert row["window"].tolist() == [0, 1, 2, 3]
    assert row["mean"] == 1.5 and row["peak"] == 3 and row["rms"] == pytest.approx(14**0.5 / 2)
    assert row["skewness"] == pytest.approx(0, abs=1e-6)


def test_a_spectrogram_shows_where_the_tone_is() -> None:
    time = np.arange(1000)
    low, high = (spectrogram(np.sin(2 * np.pi * f * time).astype(np.float32)) for f in (0.03, 0.4))
    assert low.shape == (32, 32)
    assert low.mean(axis=1).argmax() > 28 and high.mean(axis=1).argmax() < 8


@pytest.mark.parametrize(
    "windows", [{}, {"length": 0}, {"length": 5, "val": 0.6, "test": 0.5}, {"lenght": 5}]
)
def test_a_plan_that_cannot_be_is_told(table: Path, windows: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="length: SAMPLES"):
        read(table, **windows)


def test_recordings_that_cannot_be_read_are_told(table: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="shorter than a window of 300"):
        read(table, length=300)
    (tmp_path / "broken.csv").write_text("a,b\n1,x\n")
    with pytest.raises(DataError, match="no number"):
        read(tmp_path / "broken.csv", length=1)
