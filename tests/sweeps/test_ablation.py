"""A sweep over subsets of inputs says what each contributes; any other sweep says nothing of the kind."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from llm_lab.results.rows import write_rows
from llm_lab.sweeps.ablation import ablations, rows_of
from llm_lab.sweeps.html import page
from llm_lab.sweeps.table import read_table
from tests.sweeps.folders import add_run, record

NAMES = ("picture", "words")
SUBSETS = [some for size in (2, 1) for some in combinations(NAMES, size)]
COLUMNS = {name: {"kind": "text"} for name in NAMES} | {"label": "answer"}


def sweep(folder: Path, *, seeds: tuple[int, ...] = (1,)) -> Path:
    """Nine rows of ten are right with words, half of them without."""
    jobs = {
        f"{'-'.join(some)}-{seed}": [f"data.inputs=[{','.join(some)}]", f"seed={seed}"]
        for some in SUBSETS
        for seed in seeds
    }
    record(folder, jobs, keys=("data.inputs",), seeds=seeds if len(seeds) > 1 else ())
    for name, words in jobs.items():
        *some, seed = name.split("-")
        right = np.arange(100) < (90 if "words" in some else 50)
        metrics = {
            "val/loss": 1 - right.mean(),
            "test/accuracy": right.mean(),
            "baseline/majority/accuracy": 0.4,
        }
        config = {"data": {"columns": COLUMNS, "inputs": some}, "seed": int(seed)}
        run = add_run(folder, name, words=words, metrics=metrics, config=config)
        parts = np.stack([right, np.ones(100)], axis=1).astype(float)
        write_rows(run, {"accuracy": parts}, metrics=metrics, rows=[{"identity": row} for row in range(100)])
    return folder


@pytest.mark.parametrize("seeds", [(1,), (1, 2)])
def test_what_inputs_contribute_stands_on_the_page(tmp_path: Path, seeds: tuple[int, ...]) -> None:
    table = read_table(sweep(tmp_path, seeds=seeds))
    (found,) = ablations(table)
    assert found.nothing == 0.4
    words, picture = rows_of([found])
    assert words["input"] == "words" and words["Shapley value"].startswith("+0.450 (")
    assert picture["lost without it"] == "+0.000 (+0.000 to +0.000)"
    text = page(table)
    assert "What each input contributes" in text and "+0.450" in text and "none of them" in text


def test_what_failed_is_left_out(tmp_path: Path) -> None:
    sweep(tmp_path)
    (tmp_path / "words-1/run.json").write_text('{"state": "failed", "words": ["data.inputs=[words]"]}')
    (found,) = ablations(read_table(tmp_path))
    assert {each.name: each.shapley for each in found.contributions} == {"words": None, "picture": None}
    assert found.contributions[1].lost is not None


WAYS = ("picture_to_words", "words_to_picture", "picture_to_sound", "sound_to_words")


def test_each_direction_says_what_it_loses_without_the_third_input(tmp_path: Path) -> None:
    """Sounds help to find words by pictures: 0.9 with them, 0.6 without."""
    names = ("picture", "sound", "words")
    subsets = dict(zip("abcd", (some for size in (3, 2) for some in combinations(names, size)), strict=True))
    jobs = {name: [f"data.inputs=[{','.join(some)}]"] for name, some in subsets.items()}
    record(tmp_path, jobs, keys=("data.inputs",))
    for name, some in subsets.items():
        known = [way for way in WAYS if {*way.split("_to_")} <= {*some}]
        share = {way: 0.9 if name == "a" and way == WAYS[0] else 0.6 for way in known}
        metrics = {"val/loss": 1.0, **{f"test/{way}/recall_at_1": value for way, value in share.items()}}
        config = {"data": {"columns": {one: {"kind": "text"} for one in names}, "inputs": list(some)}}
        run = add_run(tmp_path, name, words=jobs[name], metrics=metrics, config=config)
        parts = {
            f"{way}/recall_at_1": np.stack([np.arange(100) < 100 * value, np.ones(100)], axis=1)
            for way, value in share.items()
        }
        write_rows(run, parts, metrics=metrics, rows=[{"identity": row} for row in range(100)])
    table = read_table(tmp_path)
    rows = {(row["metric"], row["input"]): row for row in rows_of(ablations(table))}
    assert {way.rpartition("/")[0]: name for way, name in rows} == {
        WAYS[0]: "sound", WAYS[1]: "sound", WAYS[2]: "words", WAYS[3]: "picture",
    }  # fmt: skip
    gained = rows["picture_to_words/recall_at_1", "sound"]
    assert [*gained] == ["metric", "input", "lost without it", "with all inputs"]
    assert gained["lost without it"].startswith("+0.300 (+0.") and gained["with all inputs"].startswith(
        "0.900 ("
    )
    text = page(table)
    assert "picture to words, without sound" in text and "Shapley" not in text


def test_another_sweep_has_no_contributions(tmp_path: Path) -> None:
    record(tmp_path, {"a": ["optimizer.lr=1"], "b": ["optimizer.lr=2"]})
    for name in "ab":
        add_run(tmp_path, name, metrics={"val/loss": 1.0})
    assert ablations(read_table(tmp_path)) == []
