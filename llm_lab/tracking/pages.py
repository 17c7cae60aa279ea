"""What the report says, section by section, for both of its pages; the templates only lay it out."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from llm_lab.data.spec import DataSpec
from llm_lab.tracking import formats, plots, scores
from llm_lab.tracking.scores import Mistake

SPLITS = ("train", "val", "test")
BASELINES = {"majority": "Majority", "tfidf": "TF-IDF + LR"}
HEADLINE = ("accuracy", "f1", "matthews", "ece", "exact", "mse", "mae", "pearson", "spearman", "loss")
SHOWN_MISTAKES = 20
Fact = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything a report is made of, as plain data; see `llm_lab.tracking.report.write_report`."""

    run_dir: Path
    config: Mapping[str, Any]
    metrics: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]] = ()
    predictions: Mapping[str, scores.Array] | None = None
    mistakes: Sequence[Mistake] = ()
    spec: DataSpec
    ledger: Mapping[str, Any] = field(default_factory=dict)
    baselines: Mapping[str, float] = field(default_factory=dict)
    manifest: Mapping[str, Any] = field(default_factory=dict)


def render(template: str, evidence: Evidence) -> str:
    """Fill a page; HTML is escaped by the template engine, Markdown by the ``md`` filter."""
    html = template.endswith((".html", ".html.j2"))
    environment = Environment(
        loader=PackageLoader("llm_lab.tracking"),
        autoescape=html,  # noqa: S701 - Markdown has its own escapes, the filters `md` and `fenced`
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "md": formats.markdown,
        "number": formats.number,
        "percent": formats.percent,
        "seconds": formats.seconds,
        "line": formats.one_line,
        "clean": formats.clean,
        "fenced": formats.fenced,
    }
    return environment.get_template(template).render(sections(evidence, svg=html))


def sections(evidence: Evidence, *, svg: bool) -> dict[str, Any]:
    """Return the variables of the templates; plots only where the page can show them."""
    return {
        "name": str(evidence.config.get("name", evidence.run_dir.name)),
        "evidence": evidence,
        "spec": evidence.spec,
        "subtitle": subtitle(evidence),
        "basis": basis(evidence),
        "baseline_labels": [BASELINES.get(label, label) for label in baseline_names(evidence.baselines)],
        "verdict": verdict(evidence.config.get("expected"), evidence.metrics),
        "headline": headline(evidence.metrics, evidence.baselines, evidence.config.get("expected")),
        "curves": curves(evidence.history) if svg else [],
        "validations": validations(evidence.history),
        "classes": classes(evidence, svg=svg),
        "calibration": calibration(evidence, svg=svg),
        "numbers": number_plots(evidence) if svg else [],
        "mistakes": evidence.mistakes[:SHOWN_MISTAKES],
        "sizes": sizes(evidence.spec),
        "data_facts": data_facts(evidence.spec.summary),
        "cost": cost(evidence.ledger),
        "phases": phases(evidence.ledger),
        "commands": commands(evidence),
        "config_text": yaml.safe_dump(dict(evidence.config), sort_keys=False, allow_unicode=True, width=100),
        "facts": manifest_facts(evidence.manifest),
    }


def subtitle(evidence: Evidence) -> str:
    """Return one line: the task, the data's size, the labels, when."""
    spec, started = evidence.spec, str(evidence.manifest.get("started") or "")[:10]
    kinds = {"single_label": "classes", "multi_label": "labels"}
    labels = f"{len(spec.labels)} {kinds[spec.problem]}" if spec.problem in kinds else "a number per row"
    parts = [f"{spec.sizes.get('train', 0):,} training rows", labels, started, str(evidence.run_dir)]
    return " · ".join(part for part in parts if part)


def basis(evidence: Evidence) -> str:
    """Return what the figures rest on: rows, seeds, and whether an interval says how sure they are."""
    split = "test" if any(key.startswith("test/") for key in evidence.metrics) else "val"
    rows = f"{evidence.spec.sizes.get(split, 0):,} {'test' if split == 'test' else 'validation'} rows"
    interval = ", 95 % bootstrap interval over the rows" if "test/accuracy_low" in evidence.metrics else ""
    return f"{rows}, 1 seed ({evidence.config.get('seed', 'unknown')}){interval}."


def headline(
    metrics: Mapping[str, Any], baselines: Mapping[str, float], expected: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Return the test metrics (else those of validation) with the baselines' figures beside each."""
    split = "test" if any(key.startswith("test/") for key in metrics) else "val"
    names = [name for name in HEADLINE if f"{split}/{name}" in metrics]
    found = [name for name in names if name != "loss"] or names
    return [_figure(f"{split}/{name}", metrics, baselines, expected) for name in found]


def _figure(
    key: str, metrics: Mapping[str, Any], baselines: Mapping[str, float], expected: Mapping[str, Any] | None
) -> dict[str, Any]:
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
        "expected": expected if expected and expected.get("metric") == key else None,
    }


def baseline_names(baselines: Mapping[str, float]) -> list[str]:
    """Return the names in ``baseline/NAME/METRIC``, in their order."""
    return list(dict.fromkeys(key.split("/")[1] for key in baselines))


def verdict(expected: Mapping[str, Any] | None, metrics: Mapping[str, Any]) -> dict[str, str] | None:
    """Say whether the expected figure was met: within its tolerance, or better."""
    if not expected or expected.get("value") is None:
        return None
    key, wanted, tolerance = (
        expected["metric"],
        float(expected["value"]),
        float(expected.get("tolerance") or 0),
    )
    words = f"{formats.metric_name(key)} {formats.number(wanted)} ± {formats.number(tolerance)}"
    if metrics.get(key) is None:
        return {"kind": "unknown", "text": f"expected {words}, not measured"}
    gain = (float(metrics[key]) - wanted) * (-1 if formats.lower_is_better(key) else 1)
    if gain > tolerance:
        return {"kind": "met", "text": f"better than expected: {words}"}
    met = gain >= -tolerance
    return {"kind": "met" if met else "missed", "text": f"expected {words}: {'met' if met else 'not met'}"}


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


def classes(evidence: Evidence, *, svg: bool) -> dict[str, Any] | None:
    """Return scores per class, the confusion matrix of single labels, the pairs most often confused."""
    spec, predictions = evidence.spec, evidence.predictions
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


def calibration(evidence: Evidence, *, svg: bool) -> dict[str, Any] | None:
    """Return the reliability plot and the expected calibration error."""
    spec, predictions = evidence.spec, evidence.predictions
    if predictions is None or spec.problem == "regression" or not len(predictions["index"]):
        return None
    sets = spec.problem == "multi_label"
    confident, right = scores.confidence(predictions["probabilities"], predictions["labels"], sets=sets)
    bins, error = scores.calibration(confident, right)
    return {
        "bins": bins,
        "error": evidence.metrics.get("test/ece", error),
        "confidence": float(confident.mean()),
        "right": float(right.mean()),
        "picture": Markup(plots.reliability(bins) if svg else ""),  # noqa: S704 - drawn by us
    }


def number_plots(evidence: Evidence) -> list[Markup]:
    """Return the plots of a regression: predicted over actual values, and the errors."""
    predictions = evidence.predictions
    if predictions is None or evidence.spec.problem != "regression" or not len(predictions["index"]):
        return []
    predicted, actual = predictions["probabilities"].reshape(-1), predictions["labels"]
    return [Markup(plots.scatter(predicted, actual)), Markup(plots.errors(predicted, actual))]  # noqa: S704


def sizes(spec: DataSpec) -> list[Fact]:
    """Return rows per split and training rows per class."""
    rows = [(split, f"{spec.sizes[split]:,}") for split in SPLITS if split in spec.sizes]
    return [*rows, ("classes", str(len(spec.labels)))] if spec.problem != "regression" else rows


def data_facts(summary: Mapping[str, Any]) -> list[Fact]:
    """Return the plain facts about the data as lines: nested counts on one line each."""
    return [(str(name).replace("_", " "), _plain_fact(value)) for name, value in summary.items()]


def _plain_fact(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = (f"{str(name).replace('_', ' ')} {_plain_fact(item)}" for name, item in value.items())
        return ", ".join(inner) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(_plain_fact(item) for item in value) or "none"
    return "unknown" if value is None else formats.number(value)


def cost(ledger: Mapping[str, Any]) -> list[Fact]:
    """Return the cost ledger as lines; what is unknown says so."""

    def get(name: str) -> Any:
        return ledger.get(f"run/{name}")

    parts, source = get("parts") or 1, str(get("joules_source") or "unknown")
    speed = f"{formats.number(get('examples_per_second'), 1)} rows/s"
    tokens = f"{formats.number(get('tokens_per_second'), 0)} tokens/s"
    peak = f"{formats.scaled(get('peak_flops_per_second'), 'FLOP/s')} measured on this machine"
    joules = formats.scaled(get("joules"), "J")
    price = get("cost")
    return [
        ("time", formats.seconds(get("seconds")) + (f" in {parts} parts" if parts > 1 else "")),
        ("training", f"{speed}, {tokens}"),
        ("tokens", f"{formats.number(get('tokens'))}, padding {formats.percent(get('padding_share'))}"),
        ("operations", formats.scaled(get("flops"), "FLOP") if get("flops") is not None else "unknown"),
        ("share of the peak", f"{formats.percent(get('peak_share'))} of {peak}"),
        ("memory", f"{formats.size(get('peak_rss_bytes'))} at most"),
        ("energy", f"about {joules}, an estimate" if "estimate" in source else f"{joules} by {source}"),
        ("money", "no price configured" if price is None else f"{price:.4f} {get('currency')}"),
    ]


def phases(ledger: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    """Return (phase, seconds, percent of the whole), the longest first."""
    prefix = "run/seconds_"
    found = {
        key.removeprefix(prefix): float(value or 0) for key, value in ledger.items() if key.startswith(prefix)
    }
    whole = sum(found.values()) or 1.0
    return [
        (name, value, 100 * value / whole) for name, value in sorted(found.items(), key=lambda item: -item[1])
    ]


def commands(evidence: Evidence) -> dict[str, str]:
    """Return what to type to make the run again, and to use its model."""
    run, words = shlex.quote(str(evidence.run_dir)), evidence.manifest.get("words") or []
    return {
        "reproduce": f"python -m llm_lab {shlex.join(words)}".rstrip(),
        "predict": f"python -m llm_lab predict {run} --input texts.csv",
        "evaluate": f"python -m llm_lab evaluate {run}",
        "python": "from transformers import pipeline\n\n"
        f'classify = pipeline("text-classification", model="{evidence.run_dir}/model")\n'
        'classify("a text")',
    }


def manifest_facts(manifest: Mapping[str, Any]) -> list[Fact]:
    """Return the manifest as lines."""
    skipped = {"words", "packages", "git"}
    facts = [
        (name.replace("_", " "), _plain_fact(value))
        for name, value in manifest.items()
        if name not in skipped
    ]
    git = manifest.get("git")
    state = (
        f"{git['commit']}{' with uncommitted changes' if git['dirty'] else ''}" if git else "no repository"
    )
    packages = ", ".join(f"{name} {version}" for name, version in (manifest.get("packages") or {}).items())
    return [*facts, ("git commit", state), ("packages", packages)]
