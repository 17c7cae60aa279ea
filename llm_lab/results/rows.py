"""What each test row counted for a metric, kept beside a run's metrics: by it two runs are compared row by row.

A metric that is a ratio of two sums over rows is kept as those two numbers of each row: an accuracy as (right, 1), the
F1 of entities as (2 * right, told + there), a mean reciprocal rank as (sum over a triple's questions, their number).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_lab.errors import RunError

FILE = "test_rows.npz"
ROWS = "rows"  # digest of the rows themselves: two runs have to have been tested on the same ones
Parts = NDArray[np.float64]
"""Numerators and denominators [N, 2]."""


def ratio(parts: Parts) -> float:
    """The metric over these rows; 0 where there is nothing to divide by."""
    over, under = parts.sum(axis=0)
    return float(over / under) if under else 0.0


def write_rows(
    folder: Path,
    found: Mapping[str, Any],
    *,
    metrics: Mapping[str, Any],
    rows: Iterable[Mapping[str, Any]],
) -> None:
    """Write the parts of each metric that they add up to; nothing where there is none.

    Args:
        folder: the run directory.
        found: parts [N, 2] by name of the metric.
        metrics: flat, with ``test/NAME``: one that is measured otherwise in this run is left out.
        rows: the raw test rows.
    """
    kept = {name: np.asarray(parts, np.float64) for name, parts in found.items()}
    kept = {
        name: parts
        for name, parts in kept.items()
        if len(parts) and np.isclose(ratio(parts), metrics.get(f"test/{name}", np.nan), atol=1e-4)
    }
    if kept:
        arrays: dict[str, Any] = {ROWS: np.frombuffer(bytes.fromhex(digest_of(rows)), np.uint8), **kept}
        np.savez_compressed(folder / FILE, **arrays)


def digest_of(rows: Iterable[Mapping[str, Any]]) -> str:
    """Hash of rows in their order; of a row with an ``identity`` that counts, whatever else is seen of it."""
    found = hashlib.sha256()
    for row in rows:
        found.update(
            json.dumps(row.get("identity", row), sort_keys=True, ensure_ascii=False, default=str).encode()
            + b"\n"
        )
    return found.hexdigest()


def read_rows(run: Path) -> tuple[str, dict[str, Parts]]:
    """Digest of the test rows of a run, and parts by name of the metric.

    Raises:
        RunError: the run kept none.
    """
    file = run / FILE
    if not file.is_file():
        raise RunError(
            f"{run} kept no {FILE}: it was not tested, none of its metrics is a mean over rows, or it is an older run"
        )
    with np.load(file, allow_pickle=False) as arrays:
        parts = {name: arrays[name] for name in arrays.files if name != ROWS}
        return bytes(arrays[ROWS]).hex(), parts
