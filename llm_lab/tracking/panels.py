"""The report's plots with the tables that belong to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from llm_lab.data.spec import DataSpec
from llm_lab.tracking import plots, scores

Predictions = Mapping[str, scores.Array]


def curves(history: Sequence[Mapping[str, Any]]) -> list[Markup]:
    """Return the plots of losses, of validation metrics between 0 and 1, and of learning rates."""
    series = _series(history)
    panels = {
        "Loss": [name for name in series if name in {"train/loss", "val/loss"}],
        "Validation": [name for name in series if name.startswith("val/") and name != "val/loss"],
        "Learning rate": [name for name in series if name.startswith("lr")],
    }
    return [
        Markup(plots.curves(title, {name: series[name] for name in names}))  # noqa: S704 - drawn by us
        for title, names in panels.items()
        if names
    ]


def _series(history: Iterable[Mapping[str, Any]]) -> dict[str, list[plots.Point]]:
    series: dict[str, list[plots.Point]] = {}
    for row in history:
        for name, value in row.items():
            if name not in {"step", "epoch"} and isinstance(value, int | float) and "test/" not in name:
                series.setdefault(name, []).append((row["step"], value))
    return series


def validations(history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the rows with validation metrics as a table, for the page without plots."""
    rows = [row for row in history if any(name.startswith("val/") for name in row)]
    names = list(dict.fromkeys(name for row in rows for name in row if name.startswith("val/")))
    return {"names": names, "rows": [[row["step"], *(row.get(name) for name in names)] for row in rows]}


def classes(spec: DataSpec, predictions: Predictions | None, *, svg: bool) -> dict[str, Any] | None:
    """Return scores per class, the confusion matrix of single labels, the pairs most often confused."""
    if predictions is None or spec.problem == "regression" or not len(predictions["index"]):
        return None
    probabilities, labels = predictions["probabilities"], predictions["labels"]
    sets = spec.problem == "multi_label"
    table = scores.per_class(probabilities, labels, spec.labels, sets=sets)
    if sets:
        picture = plots.label_scores(spec.labels, [row.f1 for row in table]) if svg else ""
        return {"table": table, "picture": Markup(picture), "counts": None, "pairs": []}  # noqa: S704
    counts = scores.confusions(probabilities, labels)
    return {
        "table": table,
        "picture": Markup(plots.confusion(counts, spec.labels) if svg else ""),  # noqa: S704
        "counts": counts.tolist() if len(spec.labels) <= plots.MANY else None,
        "pairs": scores.confused_pairs(counts, spec.labels),
    }


def calibration(
    spec: DataSpec, predictions: Predictions | None, metrics: Mapping[str, Any], *, svg: bool
) -> dict[str, Any] | None:
    """Return the reliability plot and the expected calibration error."""
    if predictions is None or spec.problem == "regression" or not len(predictions["index"]):
        return None
    sets = spec.problem == "multi_label"
    confident, right = scores.confidence(predictions["probabilities"], predictions["labels"], sets=sets)
    bins, error = scores.calibration(confident, right)
    return {
        "bins": bins,
        "error": metrics.get("test/ece", error),
        "confidence": float(confident.mean()),
        "right": float(right.mean()),
        "picture": Markup(plots.reliability(bins) if svg else ""),  # noqa: S704 - drawn by us
    }


def number_plots(spec: DataSpec, predictions: Predictions | None) -> list[Markup]:
    """Return the plots of a regression: predicted over actual values, and the errors."""
    if predictions is None or spec.problem != "regression" or not len(predictions["index"]):
        return []
    predicted, actual = predictions["probabilities"].reshape(-1), predictions["labels"]
    return [Markup(plots.scatter(predicted, actual)), Markup(plots.errors(predicted, actual))]  # noqa: S704
