"""Baselines measured like the model: same rows, same metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf

from llm_lab.baselines.baseline import Baseline, Source
from llm_lab.config import build_all
from llm_lab.data.spec import DataSpec, Split

KEPT = 16  # measurements that are remembered in a process
_measured: dict[str, dict[str, float]] = {}


def evaluate_baselines(
    baselines: Mapping[str, Any],
    *,
    data: Source,
    spec: DataSpec,
    metrics: Mapping[str, Any],
    split: Split = "test",
) -> dict[str, float]:
    """Fit every baseline on the training rows and measure it on another split.

    What was measured in this process, on the same data, is not measured again: the jobs of a sweep share it.

    Args:
        baselines: node of a `Baseline` by name.
        data: gives raw rows.
        spec: labels of the data.
        metrics: torchmetrics nodes by name, those of the task.
        split: the split to measure on.

    Returns:
        ``baseline/NAME/METRIC`` -> value.
    """
    key = repr((spec.fingerprint, list(spec.inputs), _plain(baselines), _plain(metrics), split))
    if key not in _measured:
        while len(_measured) >= KEPT:
            _measured.pop(next(iter(_measured)))
        _measured[key] = _evaluate(baselines, data, spec, metrics, split)
    return dict(_measured[key])


def _plain(node: Mapping[str, Any]) -> Any:
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else dict(node)


def _evaluate(
    baselines: Mapping[str, Any], data: Source, spec: DataSpec, metrics: Mapping[str, Any], split: Split
) -> dict[str, float]:
    values: dict[str, float] = {}
    for name, baseline in build_all(baselines, expected=Baseline, key="baseline").items():
        measured = baseline.evaluate(data, spec=spec, metrics=metrics, split=split)
        values |= {f"baseline/{name}/{metric}": value for metric, value in measured.items()}
    return values
