"""The replay of ASHA: counts what was trained, chooses among what finished, tells the distribution."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_lab.bench import asha, asha_record
from tests.sweeps.folders import add_run

SETTINGS = {"prune_from": 0.1, "reduction": 2}
RECORDED = json.loads(asha.CURVES.read_text(encoding="utf-8"))


def grid(curves: list[list[float]]) -> asha.Grid:
    parts = tuple(round(20 * (place + 1) / len(curves[0])) for place in range(len(curves[0])))
    return asha.Grid(
        parts=parts, curves=tuple(map(tuple, curves)), tested=tuple(1 - curve[-1] for curve in curves)
    )


CURVES = st.integers(2, 9).flatmap(
    lambda length: st.lists(
        st.lists(st.floats(0, 1), min_size=length, max_size=length), min_size=1, max_size=12
    )
)


@given(curves=CURVES, seed=st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_a_replay_chooses_a_job_of_the_grid(curves: list[list[float]], seed: int) -> None:
    found = asha.replay(grid(curves), SETTINGS, random.Random(seed))
    last = [curve[-1] for curve in curves]
    assert found.gap >= 0
    assert any(found.gap == pytest.approx(100 * (max(last) - value)) for value in last)
    assert found.tested == pytest.approx(-found.gap)  # tested figures are the complements here
    whole, least = len(curves) * len(curves[0]), len(curves) + len(curves[0]) - 1
    assert least / whole - 1e-9 <= found.share <= 1 + 1e-9


def test_curves_that_never_cross_lose_nothing_and_save_steps() -> None:
    curves = [[(1 + job) / 40 + place / 20 for place in range(9)] for job in range(20)]
    found = [asha.replay(grid(curves), SETTINGS, random.Random(seed)) for seed in range(20)]
    assert {one.gap for one in found} == {0.0}
    assert sum(one.share for one in found) / len(found) < 0.5
    assert max(one.share for one in found) < 1


def test_without_pruning_everything_is_trained() -> None:
    curves = [[0.1, 0.2, 0.3, 0.4]] * 5
    found = asha.replay(grid(curves), {"prune_from": 1.0, "reduction": 2}, random.Random(0))
    assert (found.gap, found.share) == (0.0, 1.0)
    assert {one.share for one in asha.unpruned(grid(curves), 0.4, draws=3)} == {0.4}


@pytest.mark.parametrize("seed", RECORDED["grids"])
def test_the_recorded_grid_is_what_it_says(seed: str) -> None:
    jobs = RECORDED["grids"][seed]
    assert len(jobs) == 20
    assert len({tuple(job["values"]) for job in jobs}) == 20
    steps = RECORDED["steps"]
    assert steps == [steps[-1] * (place + 1) // len(steps) for place in range(len(steps))]
    assert all(len(job["curve"]) == len(steps) for job in jobs)
    assert asha.CURVES.stat().st_size < 50_000


def test_the_choice_tests_as_well_as_the_grids_at_a_third_of_the_steps() -> None:
    options = asha.parse(["--replays", "100", "--prune-from", "0.1", "--reduction", "2"])
    chosen = {"prune_from": options.prune_from, "reduction": options.reduction}
    found = [one for each in asha.grids(RECORDED).values() for one in asha.outcomes(each, chosen, options)]
    assert sum(one.tested for one in found) / len(found) <= 0.3
    assert sum(one.share for one in found) / len(found) <= 0.35


def test_the_distribution_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "figures.json"
    asha.main(["--replays", "3", "--json", str(file)])
    said = capsys.readouterr().out
    assert "gap, validation, points" in said and "random jobs, as many steps" in said and "█" in said
    assert RECORDED["about"] in said
    raw = json.loads(file.read_text())
    assert {len(those) for those in raw["outcomes"].values()} == {3}


def test_quantiles_and_bars() -> None:
    assert [asha.quantile([3.0, 1.0, 2.0], share) for share in (0, 0.5, 1)] == [1.0, 2.0, 3.0]
    bars = {name: (count, bar) for name, count, bar in asha.histogram([0.0, 0.0, 0.2, 7.0])}
    assert bars["0"] == ("2", "█" * asha.BAR)
    assert bars["over 0.1, to 0.3"] == ("1", "█" * (asha.BAR // 2))
    assert bars["over 5"][0] == "1"
    assert sum(int(count) for count, _ in bars.values()) == 4


def test_curves_are_collected_from_a_sweep(tmp_path: Path) -> None:
    words = ["optimizer.lr=1e-3", "data.batch_size=16", "model.dropout=0.2", "seed=3"]
    run = add_run(tmp_path, "a", words=words, metrics={"test/accuracy": 0.7, "val/accuracy": 0.6})
    (run / "history.jsonl").write_text(
        '{"step": 9, "val/accuracy": 0.5}\n{"step": 12, "train/loss": 1}\n{"step": 19, "val/accuracy": 0.6}\n'
    )
    add_run(tmp_path, "b", words=words, state="failed")
    found = asha_record.collect(tmp_path)
    assert found["steps"] == [10, 20]
    assert found["grids"] == {"3": [{"values": [0.001, 16.0, 0.2], "curve": [0.5, 0.6], "test": 0.7}]}
