"""The table of experiments, and whether a figure holds when it is made again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_lab.modes.results_table import write
from llm_lab.results.figures import Figure, read
from tests.conftest import Result

QUICK = """# @package _global_
# 中文 | a *toy*.
defaults: [toy]
trainer: {max_epochs: 1}
mode: {report: false}
expected:
  metric: test/accuracy
  value: 0.9
  tolerance: 0.5
  seeds: 2
  minutes: 5
  source: estimate
  published: {value: 0.95, source: "王等 | <b>2019</b>"}
"""


@pytest.fixture
def desk(toy: Path) -> Path:
    (toy / "conf/experiment/quick.yaml").write_text(QUICK)
    return toy


def row(desk: Path, name: str) -> dict[str, str]:
    lines = (desk / "docs/results.md").read_text(encoding="utf-8").splitlines()
    cells = [
        [cell.strip() for cell in line.replace(r"\|", "¦").strip("|").split("|")]
        for line in lines
        if "|" in line
    ]
    heads = cells[0]
    (found,) = [dict(zip(heads, one, strict=True)) for one in cells if one[0].startswith(f"[{name}]")]
    return found


def test_what_has_a_figure_is_not_measured_again(desk: Path, lab: Callable[..., Result]) -> None:
    assert lab("+experiment=quick", "seed=42").code == 0
    result = lab("results", "--only", "quick", "--dry")
    assert (result.code, "without a figure: quick seed=43" in result.out) == (0, True), result.err
    assert row(desk, "quick")["seeds"] == "1 of 2"
    assert lab("results", "--only", "quick").code == 0
    assert len(list(desk.glob("runs/quick/*/metrics.json"))) == 2
    figures = json.loads((desk / "docs/results.json").read_text())
    assert {one["seed"] for one in figures.values()} == {42, 43}
    found = row(desk, "quick")
    assert (found["data"], found["model"], found["seeds"]) == ("toy", "toy", "2")
    assert "±" in found["figure"]
    assert found["expected"].startswith("0.900 ± 0.500: met")
    assert found["baselines"].lstrip("*").startswith("Majority")
    assert found["published"] == "0.950 (王等 ¦ &lt;b&gt;2019&lt;/b&gt;)"
    (desk / "runs").rename(desk / "elsewhere")
    assert lab("results", "--only", "quick").code == 0
    assert not (desk / "runs").exists()


def test_two_that_measure_at_once_keep_each_others_figures(tmp_path: Path) -> None:
    figures: dict[str, Figure] = {"1": {"seed": 42}}
    write(tmp_path, [], {"2": {"seed": 43}})
    write(tmp_path, [], figures)
    assert read(tmp_path / "results.json") == figures == {"1": {"seed": 42}, "2": {"seed": 43}}


@pytest.mark.parametrize(("reached", "shown"), [(0.0, "**Majority"), (1.0, "Majority")])
def test_a_baseline_that_is_ahead_stands_out(
    desk: Path, lab: Callable[..., Result], reached: float, shown: str
) -> None:
    assert lab("+experiment=quick", "seed=42").code == 0
    assert lab("results", "--only", "quick", "--dry").code == 0
    file = desk / "docs/results.json"
    figures = json.loads(file.read_text())
    file.write_text(json.dumps({key: {**one, "value": reached} for key, one in figures.items()}))
    shutil.rmtree(desk / "runs")
    assert lab("results", "--only", "quick", "--dry").code == 0
    assert row(desk, "quick")["baselines"].startswith(shown)


def test_an_experiment_may_put_away_what_is_published_of_its_base(
    desk: Path, lab: Callable[..., Result]
) -> None:
    text = "# @package _global_\n# The same from random weights.\ndefaults: [quick]\nexpected: {published: null}\n"
    (desk / "conf/experiment/scratch.yaml").write_text(text)
    assert lab("+experiment=scratch").code == 0
    assert lab("results", "--only", "scratch", "--dry").code == 0
    found = row(desk, "scratch")
    assert (found["published"], found["expected"][:13]) == ("\u2013", "0.900 \u00b1 0.500")


def test_a_changed_experiment_has_no_figure(desk: Path, lab: Callable[..., Result]) -> None:
    assert lab("+experiment=quick").code == 0
    assert lab("results", "--only", "quick", "--dry").code == 0
    (desk / "conf/experiment/quick.yaml").write_text(QUICK.replace("max_epochs: 1", "max_epochs: 2"))
    result = lab("results", "--only", "quick", "--dry")
    assert "quick seed=42, quick seed=43" in result.out
    assert len(json.loads((desk / "docs/results.json").read_text())) == 1


def test_the_shipped_experiments_stand_in_the_table(desk: Path, lab: Callable[..., Result]) -> None:
    assert lab("results", "--dry", "--output", "page").code == 0
    text = (desk / "page/results.md").read_text()
    for name in ("sentiment", "sst2", "sentiment\\_sweep"):
        assert f"[{name}]" in text
    assert "toy" not in text
    assert "/sentiment_sweep.yaml): `python -m llm_lab +experiment=sentiment_sweep --multirun`" in text
    (desk / "page/sweeps.md").write_text("The space is that of `sentiment_sweep`.")
    assert lab("results", "--dry", "--output", "page").code == 0
    text = (desk / "page/results.md").read_text()
    assert "/sentiment_sweep.yaml) ([sweeps.md](sweeps.md)): `python" in text
    assert "/sentiment_peft_sweep.yaml): `python" in text
    assert (desk / "page" / os.path.normpath(text.split("[sst2](")[1].split(")")[0])).exists()


def test_one_that_fails_does_not_stop_the_others(desk: Path, lab: Callable[..., Result]) -> None:
    (desk / "conf/experiment/lost.yaml").write_text(QUICK + "data: {source: 'file:///nowhere.csv'}\n")
    result = lab("results", "--only", "lost,quick")
    assert result.code == 1
    assert "lost seed=42" in result.err
    assert "nowhere.csv" in result.err
    assert row(desk, "quick")["seeds"] == "2"


def test_an_experiment_is_reproduced(desk: Path, lab: Callable[..., Result]) -> None:
    result = lab("reproduce", "quick")
    assert result.code == 0, result.err
    assert "quick: within tolerance" in result.out
    assert "with seed 43" in result.out
    assert len(list(desk.glob("runs/quick/*/metrics.json"))) == 2
    strict = QUICK.replace("value: 0.9\n", "value: 1.5\n").replace("seeds: 2", "seeds: 1")
    (desk / "conf/experiment/quick.yaml").write_text(strict.replace("tolerance: 0.5", "tolerance: 0.1"))
    result = lab("reproduce", "quick")
    assert result.code == 1
    assert "out of tolerance: test/accuracy" in result.err


def test_a_run_is_reproduced_bit_for_bit(desk: Path, lab: Callable[..., Result]) -> None:
    assert lab("+experiment=quick", "hydra.run.dir=first").code == 0
    result = lab("reproduce", "first")
    assert result.code == 0, result.err
    assert "first: reproduced, bit for bit" in result.out
    metrics = json.loads((desk / "first/metrics.json").read_text())
    (desk / "first/metrics.json").write_text(json.dumps(metrics | {"test/accuracy": 0.1}))
    result = lab("reproduce", "first")
    assert result.code == 0
    assert "test/accuracy: 0.1 then" in result.out
    config = (desk / "first/config.yaml").read_text()
    (desk / "first/config.yaml").write_text(config.replace("tolerance: 0.5", "tolerance: 0.01"))
    (desk / "first/metrics.json").write_text(json.dumps(metrics | {"test/accuracy": 1.5}))
    result = lab("reproduce", "first")
    assert result.code == 1
    assert "out of tolerance" in result.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["reproduce", "quik"], "did you mean `quick`?"),
        (["reproduce", "toy"], "nothing to compare with"),
        (["results", "--only", "quik"], "did you mean `quick`?"),
    ],
)
def test_bad_words_give_one_line(
    words: list[str], message: str, desk: Path, lab: Callable[..., Result]
) -> None:
    result = lab(*words)
    assert result.code == 2
    assert message in result.err
