"""The figures that a reader looks for first, each beside the baselines and the expected one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llm_lab.config.run_hash import changes
from llm_lab.tracking import formats

BASELINES = {"majority": "Majority", "tfidf": "TF-IDF + LR", "bm25": "BM25", "frequency": "Frequency"}
FIRST = (
    "accuracy",
    "f1",
    "mrr",
    "hits@1",
    "hits@3",
    "hits@10",
    "matthews",
    "ece",
    "exact",
    "mse",
    "mae",
    "pearson",
    "spearman",
)
NOT_SHOWN = ("_low", "_high")  # the ends of an interval stand beside their figure


def headline(metrics: Mapping[str, Any], baselines: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return the test metrics (else those of validation) with the baselines' figures beside each."""
    split = "test" if any(key.startswith("test/") for key in metrics) else "val"
    names = [key.partition("/")[2] for key in metrics if key.startswith(f"{split}/")]
    names = [name for name in names if not name.endswith(NOT_SHOWN) and "/" not in name]  # a part has a table
    names.sort(key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))
    if any(name in FIRST for name in names) and "perplexity" not in names:  # then nobody asks for the loss
        names = [name for name in names if name != "loss"]
    return [_figure(f"{split}/{name}", metrics, baselines) for name in names]


def _figure(key: str, metrics: Mapping[str, Any], baselines: Mapping[str, float]) -> dict[str, Any]:
    name, value = key.partition("/")[2], metrics[key]
    beside = [
        (BASELINES.get(label, label), baselines[f"baseline/{label}/{name}"])
        for label in baseline_names(baselines)
        if f"baseline/{label}/{name}" in baselines
    ]
    largest = max([1.0, *(abs(item or 0) for _, item in beside), abs(value or 0)])
    interval = [metrics.get(f"{key}_low"), metrics.get(f"{key}_high")]
    return {
        "key": key,
        "name": formats.metric_name(key),
        "value": value,
        "interval": interval if None not in interval else None,
        "by_label": dict(beside),
        "beside": [(label, item, 100 * max(0.0, item or 0) / largest) for label, item in beside],
        "width": 100 * max(0.0, value or 0) / largest,
        "lower": formats.lower_is_better(key),
    }


def baseline_names(baselines: Mapping[str, float]) -> list[str]:
    """Return the names in ``baseline/NAME/METRIC``, in their order."""
    return list(dict.fromkeys(key.split("/")[1] for key in baselines))


def verdict(
    expected: Mapping[str, Any] | None, metrics: Mapping[str, Any], words: Sequence[str] = ()
) -> dict[str, str] | None:
    """Say whether the expected figure was met: within its tolerance, or better.

    Of a run whose words change its experiment nothing is expected.
    """
    if not expected or expected.get("value") is None:
        return None
    key, wanted, tolerance = (
        expected["metric"],
        float(expected["value"]),
        float(expected.get("tolerance") or 0),
    )
    told = f"{formats.metric_name(key)} {formats.number(wanted)} ± {formats.number(tolerance)}"
    if changes(words):
        return {"kind": "unknown", "text": f"expected without these words: {told}"}
    if metrics.get(key) is None:
        return {"kind": "unknown", "text": f"expected {told}, not measured"}
    gain = (float(metrics[key]) - wanted) * (-1 if formats.lower_is_better(key) else 1)
    if gain > tolerance:
        return {"kind": "met", "text": f"better than expected: {told}"}
    met = gain >= -tolerance
    return {"kind": "met" if met else "missed", "text": f"expected {told}: {'met' if met else 'not met'}"}
