"""The README of a saved model, as the Hugging Face hub reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData
from transformers.utils import CONFIG_NAME

from llm_lab.data.spec import DataSpec
from llm_lab.tracking import pages
from llm_lab.tracking.files import write_text
from llm_lab.tracking.headline import headline

NAME = "README.md"


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
        architecture=_architecture(folder),
    )
    body = pages.render("model_card.md.j2", material)
    return write_text(folder / NAME, f"---\n{metadata(material).to_yaml()}\n---\n\n{body}")


def _architecture(folder: Path) -> str:
    """Name of the class that the folder's weights belong to; that of the plain model beneath an adapter."""
    path = folder / CONFIG_NAME if (folder / CONFIG_NAME).is_file() else folder / "base" / CONFIG_NAME
    names = json.loads(path.read_text(encoding="utf-8")).get("architectures") if path.is_file() else None
    return str((names or ["AutoModel"])[0])


def metadata(material: pages.Material) -> ModelCardData:
    """Return the front matter: licence, base model, task, test metrics."""
    config, tag = material.config, pages.pipeline_of(material.architecture, material.spec)
    model = config.get("model") or {}
    source = str(model.get("source") or "")
    name = str(config.get("name", "model"))
    results = [
        EvalResult(
            task_type=tag,
            dataset_type="custom",
            dataset_name=name,
            dataset_split="test",
            metric_type=figure["key"].removeprefix("test/"),
            metric_value=round(float(figure["value"]), 4),
        )
        for figure in headline(material.metrics, {})
        if figure["key"].startswith("test/") and isinstance(figure["value"], float)
    ]
    return ModelCardData(
        model_name=name,
        library_name="llm_lab" if material.spec.problem == "triples" else "transformers",
        pipeline_tag=tag,
        tags=["llm_lab"],
        license=str(model.get("licence") or "").lower() or None,
        base_model=source.removeprefix("hf://") if source.startswith("hf://") else None,
        eval_results=results or None,
        ignore_metadata_errors=True,
    )
