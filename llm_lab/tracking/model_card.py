"""The README of a saved model, as the Hugging Face hub reads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from llm_lab.data.spec import DataSpec
from llm_lab.tracking import pages
from llm_lab.tracking.files import write_text
from llm_lab.tracking.headline import HEADLINE

NAME = "README.md"
PIPELINE = "text-classification"  # the hub knows regression and label sets under this name too


def write_model_card(
    folder: Path,
    *,
    config: Mapping[str, Any],
    metrics: Mapping[str, Any],
    spec: DataSpec,
    baselines: Mapping[str, float] | None = None,
    manifest: Mapping[str, Any] | None = None,
) -> Path:
    """Write ``README.md`` beside the weights: the hub's metadata, what the model is, how it was measured.

    Args:
        folder: the saved model.
        config: the resolved config as plain containers, secrets masked; ``model.licence`` is the licence.
        metrics: flat metrics of the run.
        spec: labels and sizes of the data.
        baselines: ``baseline/NAME/METRIC`` -> value.
        manifest: see `llm_lab.tracking.evidence.manifest`.
    """
    material = pages.Material(
        run_dir=folder.parent,
        config=config,
        metrics=metrics,
        spec=spec,
        baselines=baselines or {},
        manifest=manifest or {},
    )
    body = pages.render("model_card.md.j2", material)
    return write_text(folder / NAME, f"---\n{metadata(config, metrics).to_yaml()}\n---\n\n{body}")


def metadata(config: Mapping[str, Any], metrics: Mapping[str, Any]) -> ModelCardData:
    """Return the front matter: licence, base model, task, test metrics."""
    model = config.get("model") or {}
    source = str(model.get("source") or "")
    name = str(config.get("name", "model"))
    results = [
        EvalResult(
            task_type=PIPELINE,
            dataset_type="custom",
            dataset_name=name,
            dataset_split="test",
            metric_type=key.removeprefix("test/"),
            metric_value=round(float(value), 4),
        )
        for key, value in sorted(metrics.items())
        if key.startswith("test/") and key.rpartition("/")[2] in HEADLINE and isinstance(value, float)
    ]
    return ModelCardData(
        model_name=name,
        library_name="transformers",
        pipeline_tag=PIPELINE,
        tags=["llm_lab"],
        license=str(model.get("licence") or "").lower() or None,
        base_model=source.removeprefix("hf://") if source.startswith("hf://") else None,
        eval_results=results or None,
        ignore_metadata_errors=True,
    )
