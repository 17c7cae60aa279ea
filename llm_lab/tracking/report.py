"""The run report: metrics.json, report.md, report.html, mistakes.csv."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from llm_lab.config.secrets import escape_cell
from llm_lab.data.spec import DataSpec
from llm_lab.tracking import pages, scores
from llm_lab.tracking.files import plain, write_json, write_text
from llm_lab.tracking.formats import clean

METRICS, MARKDOWN, HTML, MISTAKES = "metrics.json", "report.md", "report.html", "mistakes.csv"
KEPT_MISTAKES = 1000


def write_report(
    run_dir: Path,
    *,
    config: Mapping[str, Any],
    metrics: Mapping[str, Any],
    spec: DataSpec,
    history: Sequence[Mapping[str, Any]] = (),
    predictions: Mapping[str, Any] | None = None,
    rows: Iterable[Mapping[str, Any]] = (),
    ledger: Mapping[str, Any] | None = None,
    baselines: Mapping[str, float] | None = None,
    manifest: Mapping[str, Any] | None = None,
    tables: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    pictures: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Path]:
    """Write the report of a run and return its files by name.

    Args:
        run_dir: the run directory.
        config: the resolved config as plain containers, secrets masked; its ``expected`` is compared.
        metrics: flat, ``test/accuracy`` and so on.
        spec: the data's sizes, labels and summary.
        history: rows with ``step`` and what was logged, see `llm_lab.tracking.curves.read_history`.
        predictions: of the tested rows ``index`` [N], ``probabilities`` [N, C] (values [N] of a regression),
            ``labels`` [N] (or [N, C]).
        rows: raw rows of the test split with ``index`` and ``text``, read once, for the worst mistakes.
        ledger: figures of `llm_lab.tracking.ledger.Ledger`.
        baselines: ``baseline/NAME/METRIC`` -> value.
        manifest: see `llm_lab.tracking.evidence.manifest`.
        tables: further tables of a task by title: rows of one set of columns.
        pictures: further pictures of the page by title, as markup.
    """
    run_dir = Path(run_dir)
    found = scores.arrays(predictions) if predictions else None
    flat = flat_metrics(metrics, spec, found, baselines or {}, ledger or {})
    files = {METRICS: write_json(run_dir / METRICS, flat)}
    worst = _mistakes(found, spec, rows)
    material = pages.Material(
        run_dir=run_dir,
        config=plain(config),
        metrics=flat,
        history=history,
        predictions=found,
        mistakes=worst,
        spec=spec,
        ledger=ledger or {},
        baselines=baselines or {},
        manifest=plain(manifest or {}),
        tables=tables or {},
        pictures=pictures or {},
    )
    if found is not None:
        files[MISTAKES] = write_text(run_dir / MISTAKES, mistakes_csv(worst))
    files[MARKDOWN] = write_text(run_dir / MARKDOWN, pages.render("report.md.j2", material))
    files[HTML] = write_text(run_dir / HTML, pages.render("report.html.j2", material))
    return files


def flat_metrics(
    metrics: Mapping[str, Any],
    spec: DataSpec,
    predictions: Mapping[str, scores.Array] | None,
    baselines: Mapping[str, float],
    ledger: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what ``metrics.json`` holds: plain numbers and texts; NaN and infinities become null.

    The tokenizer's figures become ``data/fertility`` and ``data/unknown_rate``. The accuracy of single labels gets
    ``_low`` and ``_high``: its 95 % bootstrap interval over the test rows.
    """
    tokenizer = spec.summary.get("tokenizer") or {}
    names = {"fertility": "data/fertility", "unknown": "data/unknown_rate"}
    flat = {**metrics, **{told: tokenizer[name] for name, told in names.items() if name in tokenizer}}
    if (
        predictions
        and spec.problem == "single_label"
        and len(predictions["index"])
        and "test/accuracy" in flat
    ):
        _, right = scores.confidence(predictions["probabilities"], predictions["labels"], sets=False)
        flat["test/accuracy_low"], flat["test/accuracy_high"] = scores.accuracy_interval(right)
    result: dict[str, Any] = plain({**flat, **baselines, **ledger})
    return result


def mistakes_csv(worst: Sequence[scores.Mistake]) -> str:
    """Return a table for spreadsheets; no cell of it runs as a formula."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["index", "predicted", "actual", "weight", "text"])
    for one in worst:
        texts = [escape_cell(clean(text)) for text in (one.predicted, one.actual, one.text)]
        writer.writerow([one.index, texts[0], texts[1], f"{one.weight:.6f}", texts[2]])
    return stream.getvalue()


def _mistakes(
    predictions: Mapping[str, scores.Array] | None, spec: DataSpec, rows: Iterable[Mapping[str, Any]]
) -> list[scores.Mistake]:
    if predictions is None:
        return []
    return scores.with_texts(scores.mistakes(predictions, spec.problem, spec.labels)[:KEPT_MISTAKES], rows)
