"""The table of a sweep: order, values, averages, what a spreadsheet gets."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_lab.sweeps import seeds
from llm_lab.sweeps.pareto import dominates, fronts, gains
from llm_lab.sweeps.record import Sweep
from llm_lab.sweeps.report import write_table
from llm_lab.sweeps.rows import Row
from llm_lab.sweeps.table import TIMES, ordered, read_table
from llm_lab.sweeps.values import differing, typed, word_values
from tests.sweeps.folders import ACCURACY, LOSS, add_run, mixed, record

FIGURES = st.floats(-1e6, 1e6)


def lines(folder: Path, name: str = "sweep.csv") -> list[dict[str, str]]:
    with (folder / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_best_first_failures_last(tmp_path: Path) -> None:
    write_table(mixed(tmp_path))
    table = lines(tmp_path)
    assert [(line["rank"], line["hash"], line["state"]) for line in table] == [
        ("1", "b", "finished"),
        ("2", "a", "finished"),
        ("", "c", "pruned"),
        ("", "e", "interrupted"),
        ("", "f", "pending"),
        ("", "d", "failed"),
    ]
    assert [line["optimizer.lr"] for line in table] == ["0.0001", "0.001", "0.01", "1e-05", "1e-06", "0.1"]
    assert table[2]["val/loss"] == "0.94"
    assert table[2]["reason"] == "pruned at step 20"
    assert table[2]["step"] == "20"
    assert table[-1]["reason"] == "OutOfMemory: =cmd|' /C calc'!A0 second line"
    assert table[0]["test/accuracy"] == "0.9"
    assert list(table[0])[-len(TIMES) :] == list(TIMES)


def test_a_table_without_its_times_depends_on_the_results_only(tmp_path: Path) -> None:
    for name in ("one", "other"):
        mixed(tmp_path / name)
    (tmp_path / "other" / "a" / "run.json").write_text(
        (tmp_path / "one" / "a" / "run.json").read_text().replace('"started": 1.0', '"started": 77.0')
    )
    tables = []
    for name in ("one", "other"):
        write_table(tmp_path / name)
        tables.append(lines(tmp_path / name))
    assert tables[0] != tables[1]
    bare = [[{key: line[key] for key in line if key not in TIMES} for line in table] for table in tables]
    assert bare[0] == bare[1]


def test_cells_do_not_run(tmp_path: Path) -> None:
    words = ["data.source==HYPERLINK(1)", "optimizer.lr=-1"]
    record(tmp_path, {"a": words}, keys=("data.source", "optimizer.lr", "+evil"))
    add_run(tmp_path, "a", words=words, state="failed", error={"kind": "@SUM(A1)", "message": ""})
    write_table(tmp_path)
    (line,) = lines(tmp_path)
    assert line["data.source"] == "'=HYPERLINK(1)"
    assert line["reason"] == "'@SUM(A1)"
    assert line["optimizer.lr"] == "-1"
    assert "'+evil" in line


def test_any_folder_of_runs_will_do(tmp_path: Path) -> None:
    best = {"monitor": "val/accuracy", "mode": "max"}
    for name, rate, size, figure in (("a", 0.1, 1, 0.7), ("b", 0.2, 1, 0.9), ("c", 0.2, 2, 0.8)):
        config = {
            "optimizer": {"lr": rate},
            "model": {"size": size, "copy": size},
            "paths": {"run": name},
            "callbacks": {"best": best},
        }
        add_run(tmp_path, name, metrics={"val/accuracy": figure}, config=config)
    write_table(tmp_path)
    table = lines(tmp_path)
    assert [line["hash"] for line in table] == ["b", "c", "a"]
    assert "optimizer.lr" in table[0] and "model.copy" in table[0]
    assert "model.size" not in table[0] and "paths.run" not in table[0]


def test_what_was_typed_stands_for_what_follows_from_it() -> None:
    words = [
        word_values([f"model={name}", "+optimizer.lr=1e-3", "hydra.job.num=1"]) for name in ("tiny", "base")
    ]
    configs = [{"model.size": size, "optimizer.lr": 0.001, "seed": 1} for size in (1, 2)]
    assert differing(words, configs) == ["model"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("16", 16),
        ("true", True),
        ("null", None),
        ("'a b'", "a b"),
        ("[1,2]", "[1,2]"),
        ("", ""),
    ],
)
def test_words_have_values(text: str, value: object) -> None:
    assert typed(text) == value


def test_a_metric_that_is_no_number_comes_after_the_others(tmp_path: Path) -> None:
    record(tmp_path, {name: [] for name in "abc"})
    add_run(tmp_path, "a", metrics={"val/loss": None})
    add_run(tmp_path, "b", metrics={"val/loss": 3.0})
    add_run(tmp_path, "c", metrics={})
    (tmp_path / "c" / "metrics.json").write_text("{torn")
    write_table(tmp_path)
    assert [(line["hash"], line["reason"]) for line in lines(tmp_path)] == [
        ("b", ""),
        ("a", "no finite val/loss"),
        ("c", "no finite val/loss"),
    ]


def test_an_empty_sweep_has_a_head(tmp_path: Path) -> None:
    record(tmp_path, {})
    write_table(tmp_path)
    assert lines(tmp_path) == []
    assert (tmp_path / "sweep.csv").read_text().startswith("rank,hash,state,val/loss,optimizer.lr,")


def test_trials_with_one_directory_are_one_row(tmp_path: Path) -> None:
    sweep = record(tmp_path, {"a": ["optimizer.lr=1"]})
    sweep.jobs *= 2
    sweep.write(tmp_path)
    write_table(tmp_path)
    assert len(lines(tmp_path)) == 1


def test_seeds_are_averaged(tmp_path: Path) -> None:
    found = {"x": (0.1, 0.3), "y": (0.5, 0.5), "z": (0.05,)}
    jobs = {
        f"{name}{seed}": [f"optimizer.lr={rate}", f"seed={seed}"]
        for rate, (name, losses) in enumerate(found.items())
        for seed in range(len(losses))
    }
    record(tmp_path, jobs, seeds=(0, 1))
    for name, words in jobs.items():
        add_run(tmp_path, name, words=words, metrics={"val/loss": found[name[0]][int(name[1])]})
    write_table(tmp_path)
    means = lines(tmp_path, "sweep_seeds.csv")
    assert [(line["optimizer.lr"], line["n"]) for line in means] == [("0", "2"), ("1", "2"), ("2", "1")]
    assert float(means[0]["val/loss mean"]) == pytest.approx(0.2)
    # t(0.975, 1 degree of freedom) = 12.706, standard error 0.1
    assert float(means[0]["val/loss high"]) == pytest.approx(0.2 + 1.2706, abs=1e-4)
    assert means[2]["val/loss low"] == ""
    assert [line["seed"] for line in lines(tmp_path)] == ["0", "0", "1", "0", "1"]


def test_several_goals_are_ordered_by_their_fronts(tmp_path: Path) -> None:
    record(tmp_path, {name: [] for name in "abcd"}, objectives=(ACCURACY, LOSS))
    points = {"a": (0.9, 0.9), "b": (0.8, 0.1), "c": (0.7, 0.5), "d": (0.95, None)}
    for name, (accuracy, loss) in points.items():
        add_run(tmp_path, name, metrics={"val/accuracy": accuracy, "val/loss": loss})
    write_table(tmp_path)
    assert [(line["hash"], line["front"]) for line in lines(tmp_path)] == [
        ("a", "1"), ("b", "1"), ("c", "2"), ("d", ""),
    ]  # fmt: skip


POINTS = st.integers(1, 3).flatmap(
    lambda size: st.lists(st.tuples(*[st.integers(0, 4).map(float)] * size), min_size=1, max_size=25)
)


@given(points=POINTS, turn=st.booleans())
@settings(max_examples=150, deadline=None)
def test_fronts(points: list[tuple[float, ...]], *, turn: bool) -> None:
    ways = ["maximize" if turn else "minimize"] * len(points[0])
    numbers = fronts(points, ways)
    turned = [gains(point, ways) for point in points]
    for point, number in zip(turned, numbers, strict=True):
        better = [other for one, other in zip(turned, numbers, strict=True) if dominates(one, point)]
        assert number == 1 + max(better, default=0)


def row(number: int, state: str, figures: tuple[float | None, ...]) -> Row:
    name = str(number)
    return Row(directory=name, run=Path(name), hash=name, state=state, objectives=figures)


STATES = st.sampled_from(["finished", "pruned", "running", "interrupted", "pending", "failed", "odd"])


@given(
    cells=st.lists(st.tuples(STATES, st.none() | FIGURES), max_size=20),
    way=st.sampled_from(["minimize", "maximize"]),
    data=st.data(),
)
@settings(max_examples=100, deadline=None)
def test_order_is_one_of_the_rows_and_not_of_how_they_came(
    cells: list[tuple[str, float | None]], way: str, data: st.DataObject
) -> None:
    rows = [row(number, state, (figure,)) for number, (state, figure) in enumerate(cells)]
    shuffled = data.draw(st.permutations(rows))
    found = ordered(rows, [way])
    assert found == ordered(shuffled, [way])
    assert {one.directory for one in found} == {one.directory for one in rows}
    measured = [one.figures[0] for one in found if one.measured]
    assert measured == sorted(measured, reverse=way == "maximize")
    assert [one.measured for one in found] == sorted((one.measured for one in found), reverse=True)
    last = [one.state in {"failed", "odd"} for one in found]
    assert last == sorted(last)


@given(values=st.lists(FIGURES, min_size=1, max_size=10))
@settings(max_examples=100, deadline=None)
def test_the_interval_is_students(values: list[float]) -> None:
    from scipy import stats

    found = seeds.mean(values)
    assert found.value == pytest.approx(math.fsum(values) / len(values), rel=1e-9, abs=1e-6)
    if len(values) == 1:
        assert found.low is found.high is None
    elif scale := stats.sem(values):
        low, high = stats.t.interval(0.95, len(values) - 1, loc=found.value, scale=scale)
        assert (found.low, found.high) == pytest.approx((low, high), rel=1e-6, abs=1e-6)
    else:
        assert found.half == pytest.approx(0, abs=1e-6)


def test_the_record_is_the_sweepers_own(tmp_path: Path) -> None:
    mixed(tmp_path)
    table = read_table(tmp_path)
    assert table.sweep == Sweep.read(tmp_path)
    assert table.names == ("val/loss",)
    assert not table.seeded


def test_the_table_needs_no_heavy_library() -> None:
    import subprocess
    import sys

    code = (
        "import sys, llm_lab.sweeps.report; "
        "print(sorted({'torch', 'pandas', 'matplotlib', 'optuna', 'pytorch_lightning'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
