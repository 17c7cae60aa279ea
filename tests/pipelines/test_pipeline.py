"""Several runs as one command: what is there is left alone, what was stopped goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, Result
from tests.modes.test_resume import same, train_and_stop

PIPELINE = """# A toy, a second one from its weights, and that one on other rows.
first: {experiment: toy}
second:
  experiment: warm
  overrides: {model.source: "${step:first}"}
elsewhere:
  evaluate: second
  overrides: {data: other}
"""
WARM = """# @package _global_
# A toy that starts from the weights of another run.
defaults:
  - override /data: toy
  - override /model: hub
  - override /logger: none
optimizer: {lr: 1.0e-3}
model: {wrappers: {lean: null}}
trainer: {max_epochs: 1, enable_progress_bar: false, precision: 32-true}
expected: {metric: test/accuracy, value: 0.9, tolerance: 0.1, source: estimate}
"""
OTHER = """# Other toy reviews.
defaults: [table]
source: {test: file://../../other.csv, train: file://../../toy.csv}
"""
WORDS = ("pipeline=chain", "mode.report=false", "mode.baseline=false")


@pytest.fixture
def chain(toy: Path) -> Path:
    (toy / "conf/pipeline").mkdir()
    (toy / "conf/pipeline/chain.yaml").write_text(PIPELINE)
    (toy / "conf/experiment/warm.yaml").write_text(WARM)
    (toy / "conf/data/other.yaml").write_text(OTHER)
    (toy / "other.csv").write_text("text,label\nthe bright cast,good\nthe dull cast,bad\n")
    return toy


def states(out: str) -> list[str]:
    """What the table says became of each step."""
    last = out.rpartition("┡")[2]  # each step that trains prints a table of its own before
    rows = [
        [cell.strip() for cell in line.strip("│").split("│")] for line in last.splitlines() if "│" in line
    ]
    return [row[1] for row in rows if row[0]]


def runs(folder: Path, name: str) -> list[Path]:
    return sorted((folder / "runs" / name).iterdir())


def test_a_second_time_everything_is_there(chain: Path, lab: Callable[..., Result]) -> None:
    result = lab(*WORDS)
    assert result.code == 0, result.err
    assert states(result.out) == ["run", "run", "run"]
    (first,), (second,) = runs(chain, "toy"), runs(chain, "warm")
    assert not same(first, second)
    (kept,) = (second / "evaluations").glob("*.json")
    assert json.loads(kept.read_text())["metrics"]["test/accuracy"] in {0, 0.5, 1}
    again = lab(*WORDS)
    assert states(again.out) == ["there already"] * 3
    assert "test/accuracy" in again.out
    assert (runs(chain, "toy"), runs(chain, "warm")) == ([first], [second])


def test_a_word_for_all_steps_and_one_for_a_single_step(chain: Path, lab: Callable[..., Result]) -> None:
    assert lab(*WORDS, "+debug=smoke", "seed=7").code == 0
    again = lab(*WORDS, "+debug=smoke", "seed=7", "pipeline.second.overrides.optimizer.lr=2e-3")
    assert states(again.out) == ["there already", "run", "run"]
    metrics = [json.loads((run / "metrics.json").read_text()) for run in runs(chain, "warm")]
    assert [one["run/steps"] for one in metrics] == [2, 2]
    configs = [(run / "config.yaml").read_text() for run in runs(chain, "warm")]
    assert all("seed: 7" in text for text in configs)
    assert sum("lr: 0.002" in text for text in configs) == 1


def test_seeds_make_a_pipeline_each(chain: Path, lab: Callable[..., Result]) -> None:
    result = lab(*WORDS, "+debug=smoke", "seed=1,2", "--multirun")
    assert result.code == 0, result.err
    assert len(runs(chain, "toy")) == len(runs(chain, "warm")) == 2
    assert "seed=1" in result.out
    assert "seed=2" in result.out


@pytest.mark.parametrize(("how", "code"), [("SIGINT", 130), ("SIGKILL", -9)])
def test_what_was_stopped_goes_on_in_its_directory(
    how: str, code: int, chain: Path, lab: Callable[..., Result]
) -> None:
    words = (*WORDS, "callbacks.resume.interval=0.05")
    done = train_and_stop(15, how, *words, cwd=chain)
    assert done.returncode == code, done.stderr
    (first,) = runs(chain, "toy")
    assert not (first / "metrics.json").exists()
    result = lab(*words)
    assert result.code == 0, result.err
    assert states(result.out) == ["resumed", "run", "run"]
    assert runs(chain, "toy") == [first]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: {experiment: tyo}", "`tyo` is not a choice of `experiment`"),
        ("a: {experiment: toy, overrides: {optimizer.lrr: 1}}", "did you mean `optimizer.lr`?"),
        ("a: {experiment: toy}\nb: {evaluate: aa}", "did you mean `a`?"),
        ("a: {experiment: warm, overrides: {model.source: '${step:b}'}}\nb: {experiment: toy}", "no step"),
        ("a: {experimnt: toy}", "did you mean `pipeline.a.experiment`?"),
        ("a: {experiment: toy, evaluate: b}", "either an `experiment` or"),
        ("a: toy", "`pipeline` holds mappings"),
    ],
)
def test_faults_are_told_before_anything_starts(
    text: str, message: str, chain: Path, lab: Callable[..., Result]
) -> None:
    (chain / "conf/pipeline/chain.yaml").write_text(f"# Wrong.\n{text}\n")
    for words in (("check", "pipeline=chain"), ("pipeline=chain",)):
        result = lab(*words)
        assert result.code == 2
        assert message in result.err
    assert not (chain / "runs").exists()


def test_a_directory_of_ones_own_is_refused(chain: Path, lab: Callable[..., Result]) -> None:
    result = lab(*WORDS, "hydra.run.dir=mine")
    assert result.code == 2
    assert "hydra.run.dir=mine" in result.err


def test_check_counts_the_steps(chain: Path, lab: Callable[..., Result]) -> None:
    result = lab("check", *WORDS, "--deep")
    assert (result.code, result.out) == (0, "nothing wrong with 3 steps: first, second, elsewhere\n")


def test_a_model_from_a_model_from_a_model(chain: Path, lab: Callable[..., Result]) -> None:
    words = ("+debug=smoke", "mode.report=false", "mode.baseline=false")
    assert lab("+experiment=toy", *words, "hydra.run.dir=a").code == 0
    assert lab("+experiment=warm", *words, "model.source=run://a", "hydra.run.dir=b").code == 0
    assert lab("+experiment=warm", *words, "model.source=run://b/model", "hydra.run.dir=c").code == 0
    deep = "model.source=\"run://experiment/warm?model.source='run://a'\""
    result = lab("+experiment=warm", *words, deep, "hydra.run.dir=d")
    assert result.code == 0, result.err
    names = [
        set(json.loads((chain / run / "model/tokenizer.json").read_text())["model"]["vocab"])
        for run in "abcd"
    ]
    assert all(vocabulary == names[0] for vocabulary in names)


@pytest.mark.parametrize("name", [path.stem for path in sorted((ROOT / "conf/pipeline").glob("*.yaml"))])
def test_every_shipped_pipeline_passes_the_check(
    name: str, lab: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    result = lab("check", f"pipeline={name}")
    assert result.code == 0, result.err
