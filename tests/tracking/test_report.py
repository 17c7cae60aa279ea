"""The report: what a reader sees, whatever the data holds."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from llm_lab.tracking import formats, headline, scores
from llm_lab.tracking.files import write_json
from llm_lab.tracking.model_card import write_model_card
from llm_lab.tracking.report import write_report

Result = Callable[..., dict[str, Any]]
HOSTILE = (
    '<script>alert(1)</script> "q" | [x](javascript:alert(1)) ![i](http://e.vil/i.png) {{ 7*7 }} '
    "{% raw %} `c`\n# head"
)
CELLS = ("=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "\t=1")


class Page(HTMLParser):
    """Collects tags, attributes and visible text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_figures_stand_beside_baselines_and_the_expected_one(tmp_path: Path, result: Result) -> None:
    arguments = result() | {
        "baselines": {"baseline/majority/accuracy": 0.512, "baseline/tfidf/accuracy": 0.806},
        "config": {"name": "toy", "expected": {"metric": "test/accuracy", "value": 0.87, "tolerance": 0.015}},
        "metrics": {"test/accuracy": 0.8678},
    }
    write_report(tmp_path, **arguments)
    for text in (page(tmp_path).text, (tmp_path / "report.md").read_text()):
        assert all(
            word in text for word in ("Majority", "0.512", "TF", "0.806", "0.868", "0.870 ± 0.015: met")
        )


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("test/accuracy", 0.5, "not met"),
        ("test/accuracy", 0.9, "better than expected"),
        ("test/accuracy", 0.79, ": met"),
        ("test/mse", 0.9, "not met"),
        ("test/mse", 0.5, "better than expected"),
        ("test/accuracy", None, "not measured"),
    ],
)
def test_verdict_knows_the_better_direction(key: str, value: float | None, words: str) -> None:
    found = headline.verdict({"metric": key, "value": 0.8, "tolerance": 0.05}, {key: value})
    assert found is not None
    assert words in found["text"]


SAME = ("seed=7", "+experiment=sentiment", "trainer.devices=2", "logger=wandb", "callbacks.progress=null")
OTHER = ("knowledge=wn18rr", "model.dim=8", "~callbacks.early_stopping", "trainer.max_epochs=1", "seeds=1")


@pytest.mark.parametrize(
    ("word", "start"),
    [(word, "expected Accuracy") for word in SAME]
    + [(word, "expected without these words") for word in OTHER],
)
def test_nothing_is_expected_of_a_changed_experiment(word: str, start: str) -> None:
    expected = {"metric": "test/accuracy", "value": 0.8, "tolerance": 0.05}
    found = headline.verdict(expected, {"test/accuracy": 0.5}, ["+experiment=sentiment", word])
    assert found is not None
    assert found["text"].startswith(start)


def test_the_tokenizer_is_told_of(tmp_path: Path, result: Result) -> None:
    arguments = result()
    spec = arguments["spec"]
    figures = {"vocabulary": 8192, "fertility": 1.25, "unit": "word", "unknown": 0.01}
    arguments["spec"] = replace(spec, summary={**spec.summary, "tokenizer": figures})
    files = write_report(tmp_path, **arguments)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert (metrics["data/fertility"], metrics["data/unknown_rate"]) == (1.25, 0.01)
    for page in ("report.md", "report.html"):
        assert "vocabulary 8,192, fertility 1.25" in files[page].read_text(encoding="utf-8")


def test_metrics_are_flat_strict_json(tmp_path: Path, result: Result) -> None:
    arguments = result() | {
        "metrics": {"test/accuracy": np.float32(0.5), "test/f1": float("nan"), "val/loss": float("inf")},
        "ledger": {"run/seconds": 3.5, "run/joules_source": "estimate"},
        "baselines": {"baseline/majority/accuracy": 0.5},
    }
    write_report(tmp_path, **arguments)
    text = (tmp_path / "metrics.json").read_text()
    metrics = json.loads(text, parse_constant=lambda token: pytest.fail(f"{token} is not JSON"))
    assert metrics["test/accuracy"] == 0.5
    assert metrics["test/f1"] is None
    assert metrics["val/loss"] is None
    assert metrics["baseline/majority/accuracy"] == 0.5
    assert metrics["run/joules_source"] == "estimate"
    assert not any(isinstance(value, dict | list) for value in metrics.values())


def test_file_is_never_seen_half_written(tmp_path: Path) -> None:
    path = write_json(tmp_path / "metrics.json", {"a": 1})
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(RecursionError):
        write_json(path, {"a": endless})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.json"]


def test_hostile_texts_and_names_are_shown_not_run(tmp_path: Path, result: Result) -> None:
    arguments = result(names=(HOSTILE, "</style><b>$\\frac$")) | {
        "rows": ({"index": index, "text": HOSTILE} for index in range(60)),
        "config": {"name": HOSTILE, "note": HOSTILE},
        "manifest": {
            "words": [f"name={HOSTILE}"],
            "cpu": HOSTILE,
            "packages": {"torch": HOSTILE},
            "git": None,
        },
        "metrics": {"test/accuracy": 0.5, f"test/{HOSTILE}": 0.1},
    }
    write_report(tmp_path, **arguments)
    seen = page(tmp_path)
    assert not {"script", "iframe", "link", "object", "embed", "base", "form"} & {tag for tag, _ in seen.tags}
    assert not [name for _, attributes in seen.tags for name in attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in seen.text
    assert "{{ 7*7 }}" in seen.text
    rendered = MarkdownIt("commonmark").enable("table").render((tmp_path / "report.md").read_text())
    tags = {tag for tag, _ in Page(rendered).tags}
    assert not {"script", "a", "img", "b"} & tags
    assert "{{ 7*7 }}" in Page(rendered).text


def test_page_loads_nothing(tmp_path: Path, result: Result) -> None:
    write_report(tmp_path, **result())
    for tag, attributes in page(tmp_path).tags:
        for name in ("src", "href", "xlink:href", "srcset", "action", "data"):
            assert attributes.get(name, "#").startswith(("#", "data:image/")), (tag, attributes)
    assert not re.search(r"url\(\s*['\"]?(?!#)|@import", (tmp_path / "report.html").read_text())


def test_ids_on_the_page_are_unique(tmp_path: Path, result: Result) -> None:
    write_report(tmp_path, **result())
    ids = [attributes["id"] for _, attributes in page(tmp_path).tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_no_cell_runs_in_a_spreadsheet(tmp_path: Path, result: Result) -> None:
    arguments = result(names=("=1+1", "yes")) | {
        "rows": ({"index": index, "text": CELLS[index % len(CELLS)]} for index in range(60))
    }
    write_report(tmp_path, **arguments)
    with (tmp_path / "mistakes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        for name in ("predicted", "actual", "text"):
            assert not row[name].startswith(("=", "+", "-", "@", "\t"))
        assert CELLS[int(row["index"]) % len(CELLS)].strip() in row["text"]


@pytest.mark.parametrize(
    ("problem", "names", "words"),
    [
        ("single_label", ("no", "yes"), ["Confusion matrix", "Calibration", "Worst mistakes", "precision"]),
        (
            "single_label",
            tuple(f"intent_{n}" for n in range(77)),
            ["Confusion matrix", "Most often confused", "intent_76"],
        ),
        ("multi_label", ("a", "b", "c"), ["Labels", "Calibration", "F1"]),
        ("regression", ("rating",), ["Fit", "Errors", "Largest errors", "Mean squared error"]),
    ],
)
def test_every_problem_has_its_plots(
    tmp_path: Path, result: Result, problem: str, names: tuple[str, ...], words: list[str]
) -> None:
    write_report(tmp_path, **result(problem, names, rows=200))
    seen = page(tmp_path)
    assert not [word for word in words if word not in seen.text]
    assert sum(tag == "svg" for tag, _ in seen.tags) >= 3
    assert (tmp_path / "report.html").stat().st_size < 1_000_000
    assert "nan" not in (tmp_path / "report.md").read_text().lower().split()


def test_types_of_entities_stand_in_a_table_of_their_own(tmp_path: Path, result: Result) -> None:
    bare = {name: value for name, value in result().items() if name in {"config", "spec"}}
    bare["spec"] = replace(bare["spec"], problem="tokens", labels=("O", "B-a|b", "B-PER"))
    scored = {
        f"test/{name}/{kind}": value
        for kind, values in {"a|b": (0.25, 0.5, 0.333, 4.0), "PER": (1.0, 0.5, 0.667, 2.0)}.items()
        for name, value in zip(("precision", "recall", "f1", "support"), values, strict=True)
    }
    write_report(tmp_path, **bare, metrics={"test/f1": 0.4321, "test/macro_f1": 0.5, **scored})
    seen = page(tmp_path)
    assert (
        "Entities type precision recall F1 support a|b 0.250 0.500 0.333 4 PER 1.000 0.500 0.667 2"
        in seen.text
    )
    assert "mean (macro) 0.625 0.500 0.500 6" in seen.text
    assert seen.text.count("0.667") == 2  # in its table and among all metrics, not among the first figures
    markdown = (tmp_path / "report.md").read_text()
    assert "| a\\|b | 0.250 | 0.500 | 0.333 | 4 |\n| PER | 1.000 |" in markdown
    assert "## Entities\n\n| type |" in markdown


MANY = {
    "photo": {"kind": "image", "columns": ["file"], "optional": True},
    "review": {"kind": "text", "columns": ["title", "body"], "optional": False},
}


@pytest.mark.parametrize(
    ("inputs", "architecture", "wanted", "tag"),
    [
        (
            {"sound": {"kind": "audio", "columns": ["wav"], "optional": False}},
            "FusionForSequenceClassification",
            "sounds/  # a folder of sounds, a sound, or a table with the column wav (a sound's file)",
            "audio-classification",
        ),
        (
            MANY,
            "FusionForSequenceClassification",
            "rows.csv  # a table with the columns file (a picture's file, may be empty), title, body",
            "other",
        ),
        (
            {"words": MANY["review"]},
            "FusionModel",
            "rows.csv  # a table with the columns title, body",
            "feature-extraction",
        ),
    ],
    ids=["sounds", "several", "texts"],
)  # fmt: skip
def test_commands_suit_the_columns_of_the_run(
    tmp_path: Path, result: Result, inputs: dict[str, Any], architecture: str, wanted: str, tag: str
) -> None:
    arguments = result()
    arguments["spec"] = replace(arguments["spec"], inputs=inputs)
    write_report(tmp_path, **arguments)
    command = f"python -m llm_lab predict {tmp_path} --input {wanted}"
    assert (
        " ".join(command.split()) in page(tmp_path).text and command in (tmp_path / "report.md").read_text()
    )
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text(json.dumps({"architectures": [architecture]}))
    told = {name: arguments[name] for name in ("config", "metrics", "spec")}
    card = write_model_card(tmp_path / "model", **told).read_text()
    source, _, words = wanted.partition("  # ")
    assert f"model.answered(model.read('{source}', None)):  # {words}\n" in card
    assert f"pipeline_tag: {tag}\n" in card and "predictor(Path('.'))" in card
    for text in (card, (tmp_path / "report.html").read_text(), (tmp_path / "report.md").read_text()):
        assert "texts.csv" not in text and "pipeline(" not in text


def test_run_without_a_test_split_still_reports(tmp_path: Path, result: Result) -> None:
    bare = {name: value for name, value in result().items() if name in {"config", "spec"}}
    write_report(tmp_path, **bare, metrics={"val/accuracy": 0.75})
    assert "0.750" in page(tmp_path).text
    assert not (tmp_path / "mistakes.csv").exists()


def test_chinese_is_text_not_boxes(tmp_path: Path, result: Result) -> None:
    arguments = result(names=("消极", "积极")) | {
        "rows": ({"index": i, "text": "故事很感人"} for i in range(60))
    }
    write_report(tmp_path, **arguments)
    seen = page(tmp_path)
    assert seen.text.count("消极") > 3  # in the tables and as text in the plots
    assert "故事很感人" in seen.text
    plots = re.findall(r"<text[^>]*>([^<]*)</text>", (tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "积极" in plots


def test_texts_are_matched_by_row_number(tmp_path: Path, result: Result) -> None:
    arguments = result()
    write_report(tmp_path, **arguments)
    with (tmp_path / "mistakes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(row["text"] == f"row {row['index']}" for row in rows)
    weights = [float(row["weight"]) for row in rows]
    assert weights == sorted(weights, reverse=True)


@given(st.text(max_size=40))
def test_escaped_markdown_is_the_text_itself(text: str) -> None:
    table = f"| a |\n| --- |\n| {formats.markdown(text)} |\n"
    tokens = MarkdownIt("commonmark").enable("table").parse(table)
    inline = [token for token in tokens if token.type == "inline"][1:]
    children = [child for token in inline for child in token.children or []]
    assert {child.type for child in children} <= {"text", "text_special"}
    shown = " ".join("".join(child.content for child in children).split())
    assert shown == " ".join(formats.clean(text).split())


@given(st.text(max_size=60), st.integers(min_value=0, max_value=5))
def test_code_block_cannot_be_left(text: str, ticks: int) -> None:
    tokens = MarkdownIt("commonmark").parse(formats.fenced("`" * ticks + text, "yaml"))
    assert [token.type for token in tokens] == ["fence"]


def test_calibration_error_of_known_bins() -> None:
    confident = np.array([0.9, 0.9, 0.6, 0.6])
    right = np.array([True, False, True, True])
    bins, error = scores.calibration(confident, right, bins=10)
    assert [(one.count, one.accuracy) for one in bins] == [(2, 1.0), (2, 0.5)]
    assert error == pytest.approx(0.5 * 0.4 + 0.5 * 0.4)


def test_calibration_error_is_that_of_torchmetrics() -> None:
    import torch
    from torchmetrics.classification import MulticlassCalibrationError

    probabilities = torch.rand(500, 4, generator=torch.Generator().manual_seed(0)).softmax(dim=1)
    labels = torch.randint(4, (500,), generator=torch.Generator().manual_seed(1))
    theirs = float(MulticlassCalibrationError(num_classes=4, n_bins=15)(probabilities, labels))
    confident, right = scores.confidence(probabilities.numpy(), labels.numpy(), sets=False)
    assert scores.calibration(confident, right)[1] == pytest.approx(theirs, abs=1e-6)


def test_interval_holds_the_figure() -> None:
    right = np.array([True] * 870 + [False] * 130)
    low, high = scores.accuracy_interval(right)
    assert low < 0.87 < high
    assert high - low == pytest.approx(2 * 1.96 * (0.87 * 0.13 / 1000) ** 0.5, rel=0.1)
