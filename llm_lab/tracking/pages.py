"""The pages of the report: what their templates are filled with, and how texts are escaped in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from llm_lab.data.spec import DataSpec
from llm_lab.tracking import facts, formats, headline, panels, scores, usage
from llm_lab.tracking.scores import Mistake

SHOWN_MISTAKES = 20


@dataclass(frozen=True, kw_only=True)
class Material:
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
    tables: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    pictures: Mapping[str, Sequence[str]] = field(default_factory=dict)
    architecture: str = ""  # class of transformers that the saved weights belong to


def render(template: str, material: Material) -> str:
    """Fill a page; HTML is escaped by the template engine, Markdown by the ``md`` filter."""
    html = template.endswith((".html", ".html.j2"))
    return environment(html=html).get_template(template).render(sections(material, svg=html))


@cache
def environment(*packages: str, html: bool) -> Environment:
    """Return the template engine with our filters; templates of `packages` come before the report's own."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in (*packages, "llm_lab.tracking")]),
        autoescape=html,  # noqa: S701 - Markdown has its own escapes, the filters `md` and `fenced`
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {
        "md": formats.markdown,
        "number": formats.number,
        "percent": formats.percent,
        "seconds": formats.seconds,
        "line": formats.one_line,
        "clean": formats.clean,
        "fenced": formats.fenced,
    }
    return made


def sections(material: Material, *, svg: bool) -> dict[str, Any]:
    """Return the variables of the templates; plots only where the page can show them."""
    return {
        "name": str(material.config.get("name", material.run_dir.name)),
        "metrics": material.metrics,
        "spec": material.spec,
        "subtitle": subtitle(material),
        "architecture": material.architecture,
        "pipeline": pipeline_of(material.architecture, material.spec),
        "has_pipeline": material.architecture.endswith(tuple(PIPELINES)),
        "basis": basis(material),
        "baseline_labels": [
            headline.BASELINES.get(label, label) for label in headline.baseline_names(material.baselines)
        ],
        "verdict": headline.verdict(
            material.config.get("expected"), material.metrics, material.manifest.get("words") or ()
        ),
        "headline": headline.headline(material.metrics, material.baselines),
        "curves": panels.curves(material.history) if svg else [],
        "validations": panels.validations(material.history),
        "classes": panels.classes(material.spec, material.predictions, svg=svg),
        "types": scores.per_type(material.metrics),
        "calibration": panels.calibration(material.spec, material.predictions, material.metrics, svg=svg),
        "numbers": panels.number_plots(material.spec, material.predictions) if svg else [],
        "tables": {title: rows for title, rows in material.tables.items() if rows},
        "pictures": material.pictures,
        "mistakes": material.mistakes[:SHOWN_MISTAKES],
        "sizes": facts.sizes(material.spec),
        "data_facts": facts.data_facts(material.spec.summary),
        "cost": facts.cost(material.ledger),
        "phases": facts.phases(material.ledger),
        "commands": usage.commands(material.run_dir, material.manifest, material.spec),
        "snippet": usage.snippet(".", material.spec),
        "config_text": yaml.safe_dump(dict(material.config), sort_keys=False, allow_unicode=True, width=100),
        "facts": facts.manifest_facts(material.manifest),
    }


# What transformers' pipelines and the hub call what a class does; regression and label sets are classification too.
PIPELINES = {
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForQuestionAnswering": "question-answering",
    "ForMultipleChoice": "multiple-choice",
    "ForMaskedLM": "fill-mask",
    "ForCausalLM": "text-generation",
    "LMHeadModel": "text-generation",
    "ForCTC": "automatic-speech-recognition",
    "ForSpeechSeq2Seq": "automatic-speech-recognition",
}
# The same by kinds of inputs, where these matter; the hub has no name for others.
FUSED: Mapping[str, Mapping[tuple[str, ...], str]] = {
    "text-classification": {
        ("image",): "image-classification",
        ("audio",): "audio-classification",
        **dict.fromkeys((("category",), ("number",), ("category", "number")), "tabular-classification"),
    },
    "text-generation": {("image",): "image-to-text", ("image", "text"): "image-text-to-text"},
    "automatic-speech-recognition": {("audio",): "automatic-speech-recognition"},
}
TARGETS = {
    "single_label": "{} classes",
    "multi_label": "{} labels",
    "regression": "a number per row",
    "tokens": "{} tags of words",
    "span": "answers in contexts",
    "choice": "one text of several",
    "pairs": "texts that belong together",
    "language": "text alone",
    "triples": "entities that complete triples",
    "entities": "entities that answer questions",
    "modalities": "inputs that belong together",
    "transcript": "texts to be written",
}


def subtitle(material: Material) -> str:
    """Return one line: the task, the data's size, the labels, when."""
    spec, started = material.spec, str(material.manifest.get("started") or "")[:10]
    labels = TARGETS[spec.problem].format(len(spec.labels))
    parts = [f"{spec.sizes.get('train', 0):,} training rows", labels, started, str(material.run_dir)]
    return " · ".join(part for part in parts if part)


def basis(material: Material) -> str:
    """Return what the figures rest on: rows, seeds, and whether an interval says how sure they are."""
    split = "test" if any(key.startswith("test/") for key in material.metrics) else "val"
    predictions = material.predictions if split == "test" else None
    count = material.spec.sizes.get(split, 0) if predictions is None else len(predictions["index"])
    rows = f"{count:,} {'test' if split == 'test' else 'validation'} rows"
    interval = ", 95 % bootstrap interval over the rows" if "test/accuracy_low" in material.metrics else ""
    return f"{rows}, 1 seed ({material.config.get('seed', 'unknown')}){interval}."


def pipeline_of(architecture: str, spec: DataSpec) -> str:
    """The hub's name of what a class of transformers does to such data, or a model of a graph."""
    if spec.problem == "triples":
        return "graph-ml"
    tag = next((name for end, name in PIPELINES.items() if architecture.endswith(end)), "feature-extraction")
    kinds = tuple(sorted({str(told["kind"]) for told in spec.inputs.values()}))
    return FUSED.get(tag, {}).get(kinds, tag if kinds in {(), ("text",)} or tag not in FUSED else "other")
