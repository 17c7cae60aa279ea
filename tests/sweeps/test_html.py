"""The page of a sweep: complete at any size, and no text of a job runs in it."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import random
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_lab.sweeps.html import page
from llm_lab.sweeps.html_marks import Marks
from llm_lab.sweeps.importance import FEWEST, importances
from llm_lab.sweeps.rows import Row
from llm_lab.sweeps.scale import figures, numbers, scale
from llm_lab.sweeps.table import read_table
from tests.sweeps.folders import ACCURACY, LOSS, add_run, mixed, record

FINITE = st.floats(-1e9, 1e9)
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u202e\x00"


class Page(HTMLParser):
    """Tags, attributes and text of a page, scripts and styles apart."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.scripts: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script":
            self.scripts.append(data)
        elif self.lasttag != "style":
            self.text += f" {data}"


def read(folder: Path) -> Page:
    return Page(page(read_table(folder)))


def headings(found: Page, text: str) -> set[str | None]:
    assert text
    return {
        value for name, value in found.attributes if name == "id" and value and re.fullmatch("[a-z]+", value)
    }


def grid(folder: Path, count: int, *, seed: int = 0, diverged: bool = False) -> Path:
    """A finished sweep over a rate, a size and a name."""
    chance = random.Random(seed)
    jobs = {}
    for number in range(count):
        rate, size, kind = (
            10 ** chance.uniform(-5, -2),
            chance.choice([16, 32]),
            chance.choice(["a", "b", "c"]),
        )
        jobs[f"job{number}"] = [f"optimizer.lr={rate}", f"data.batch_size={size}", f"model={kind}"]
    record(folder, jobs, keys=("optimizer.lr", "data.batch_size", "model"), sampler="tpe", trials=count)
    for number, (name, words) in enumerate(jobs.items()):
        loss = abs(math.log10(float(words[0].split("=")[1])) + 3.5) + chance.gauss(0, 0.02)
        loss = 1e8 if diverged and number == 0 else loss
        metrics = {
            "val/loss": loss,
            "test/accuracy": 1 / (1 + loss),
            "run/steps": 30,
            "run/seconds": 5 + number,
        }
        add_run(folder, name, words=words, metrics=metrics, curve=[loss + 1, loss + 0.3, loss])
    return folder


def test_a_sweep_with_everything(tmp_path: Path) -> None:
    text = page(read_table(mixed(tmp_path)))
    found = Page(text)
    assert {"result", "jobs", "parallel", "importance", "curves", "cost", "failures"} <= headings(found, text)
    assert "0.400" in found.text
    assert "optimizer.lr=0.0001" in found.text
    assert "python -m llm_lab optimizer.lr=1e-4 name=toy" in found.text
    assert "OutOfMemory: =cmd|' /C calc'!A0 second line" in found.text
    assert "1 pruned" in found.text and "1 failed" in found.text
    assert f"Importance is not estimated from 2 finished jobs: a forest needs {FEWEST} or more" in found.text
    assert "val/loss 0.9400" in found.text  # the pruned job's title in the plots
    assert text.count('class="job" data-job="2"') >= 2  # its line and its curve


def test_what_trained_and_the_memory_stand_where_jobs_differ_in_it(tmp_path: Path) -> None:
    jobs = {name: [f"peft={name}"] for name in ("full", "lora")}
    record(tmp_path, jobs, keys=("peft",))
    for name, count in (("full", 22713986), ("lora", 74498)):
        metrics = {"val/loss": 0.5, "run/trainable_parameters": count, "run/peak_rss_bytes": 1.5e9}
        metrics["run/optimizer_bytes"] = 8.0 * count
        add_run(tmp_path, name, words=jobs[name], metrics=metrics)
    found = read(tmp_path).text
    assert "22,713,986" in found and "74,498" in found and "1.5 GB" in found
    assert "optimizer" in found and "182 MB" in found
    assert "memory" not in read(mixed(tmp_path / "alike")).text


def test_nothing_is_loaded_and_only_our_script_runs(tmp_path: Path) -> None:
    text = page(read_table(mixed(tmp_path)))
    found = Page(text)
    assert not [
        value
        for name, value in found.attributes
        if name in {"src", "href"} and not (value or "").startswith("#")
    ]
    assert "link" not in found.tags and "iframe" not in found.tags
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)
    assert script
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    (policy,) = (
        value for name, value in found.attributes if name == "content" and "default-src" in (value or "")
    )
    assert policy and "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy
    assert "://" not in re.sub(r"http://www\.w3\.org/\S+", "", text)


def test_texts_of_jobs_are_shown_and_do_not_run(tmp_path: Path) -> None:
    words = [f"model.name={EVIL}", "optimizer.lr=1"]
    jobs = {
        "a": words,
        "b": ["model.name=plain", "optimizer.lr=2"],
        EVIL.replace("/", "").replace("\0", ""): words,
    }
    record(tmp_path, jobs, keys=("model.name", EVIL), name=EVIL, words=(EVIL,))
    add_run(tmp_path, "a", words=words, metrics={"val/loss": 1.0, f"val/{EVIL}": 1.0}, curve=[1.0])
    add_run(tmp_path, "b", words=jobs["b"], metrics={"val/loss": 2.0}, curve=[2.0])
    add_run(tmp_path, list(jobs)[2], words=words, state="failed", error={"kind": EVIL, "message": EVIL})
    found = read(tmp_path)
    assert found.tags.count("script") == 1
    assert "img" not in found.tags
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert found.text.count("<script>alert(1)</script>") > 4
    assert "\u202e" not in found.text


def test_a_sweep_that_has_not_begun(tmp_path: Path) -> None:
    record(tmp_path, {name: [f"optimizer.lr={name}"] for name in "12"})
    text = page(read_table(tmp_path))
    found = Page(text)
    assert "No job has finished yet" in found.text
    assert {"parallel", "curves", "cost", "importance"}.isdisjoint(headings(found, text))


def test_a_sweep_of_failures_only(tmp_path: Path) -> None:
    record(tmp_path, {"a": ["optimizer.lr=1"]})
    add_run(tmp_path, "a", words=["optimizer.lr=1"], state="failed", exit_code=1)
    found = read(tmp_path)
    assert "No job has finished." in found.text
    assert "exit code 1, see llm_lab.log" in found.text


@pytest.mark.parametrize("keys", [("optimizer.lr",), ()])
def test_a_single_job(tmp_path: Path, keys: tuple[str, ...]) -> None:
    record(tmp_path, {"a": ["optimizer.lr=1"]}, keys=keys)
    add_run(tmp_path, "a", words=["optimizer.lr=1"], metrics={"val/loss": 0.25}, curve=[0.25])
    assert "0.250" in read(tmp_path).text


def test_an_empty_folder(tmp_path: Path) -> None:
    assert "There is no job" in read(tmp_path).text


def test_figures_that_are_no_numbers(tmp_path: Path) -> None:
    record(tmp_path, {name: [f"optimizer.lr={place}"] for place, name in enumerate("abc")})
    for name, value in zip("abc", (None, 1.0, 1.0), strict=True):
        run = add_run(tmp_path, name, metrics={"val/loss": value}, curve=[1.0])
        (run / "history.jsonl").write_text('{"step": 1, "val/loss": NaN}\n{"step": 2, "val/loss": null}\n')
    found = read(tmp_path)
    assert "NaN" not in found.text and "nan" not in found.text.replace("finance", "")
    assert "1.000" in found.text


@pytest.mark.slow
def test_five_hundred_jobs(tmp_path: Path) -> None:
    text = page(read_table(grid(tmp_path, 500)))
    assert text.count('data-job="499"') >= 4
    assert "Share of the spread" in text
    assert len(text) < 8_000_000


def test_importance_finds_what_matters(tmp_path: Path) -> None:
    table = read_table(grid(tmp_path, 40))
    shares = importances(table.measured, table.keys)
    assert next(iter(shares)) == "optimizer.lr"
    assert shares["optimizer.lr"] > 0.8
    assert sum(shares.values()) == pytest.approx(1)
    assert importances(table.measured, table.keys) == shares
    assert importances(table.measured[: FEWEST - 1], table.keys) == {}


def test_importance_of_equal_figures_is_not_told(tmp_path: Path) -> None:
    jobs = {f"j{number}": [f"optimizer.lr={number}", "model=[1,2]"] for number in range(12)}
    record(tmp_path, jobs, keys=("optimizer.lr", "model"))
    for name, words in jobs.items():
        add_run(tmp_path, name, words=words, metrics={"val/loss": 1.0})
    assert "there is nothing to explain" in read(tmp_path).text


def test_two_goals_show_their_front(tmp_path: Path) -> None:
    jobs = {name: [f"optimizer.lr={place}"] for place, name in enumerate("abc")}
    record(tmp_path, jobs, objectives=(ACCURACY, LOSS))
    for name, one, other in zip("abc", (0.9, 0.8, 0.7), (0.5, 0.1, 0.4), strict=True):
        add_run(tmp_path, name, words=jobs[name], metrics={"val/accuracy": one, "val/loss": other})
    text = page(read_table(tmp_path))
    found = Page(text)
    assert "pareto" in headings(found, text)
    assert "the first of the Pareto front" in found.text


def test_seeds_have_intervals_and_the_choice_says_how_sure_it_is(tmp_path: Path) -> None:
    jobs = {
        f"{rate}-{seed}": [f"optimizer.lr={rate}", f"seed={seed}"] for rate in (1, 2) for seed in (1, 2, 3)
    }
    record(tmp_path, jobs, seeds=(1, 2, 3))
    for place, (name, words) in enumerate(jobs.items()):
        add_run(tmp_path, name, words=words, metrics={"val/loss": 0.5 + 0.01 * place})
    text = page(read_table(tmp_path))
    found = Page(text)
    assert "seeds" in headings(found, text)
    assert "0.510 ± 0.025 (n = 3)" in found.text
    assert "No other setting's mean lies within the interval" in found.text


def test_a_diverged_job_does_not_hide_the_others(tmp_path: Path) -> None:
    table = read_table(grid(tmp_path, 30, diverged=True))
    column = [row.figures[0] for row in table.measured]
    axis = figures(column, maximize=False)
    assert max(column) == 1e8
    assert axis.high < 10
    assert axis.place(1e8) == 1
    assert "100000000" not in page(table).split('id="parallel"')[1].split("</section>")[0].replace(",", "")


@given(column=st.lists(FINITE, min_size=1, max_size=30), maximize=st.booleans())
@settings(max_examples=150, deadline=None)
def test_numbers_stand_in_their_order(column: list[float], *, maximize: bool) -> None:
    for axis in (numbers(column), figures(column, maximize=maximize), scale(column)):
        places = [axis.place(value) for value in sorted(column)]
        assert places == sorted(places)
        assert all(0 <= place <= 1 for place in places)
        assert all(-1e-9 <= place <= 1 + 1e-9 for place, _ in axis.ticks)
    best = max(column) if maximize else min(column)
    assert figures(column, maximize=maximize).place(best) == pytest.approx(
        0.5 if len(set(column)) == 1 else float(maximize), abs=0.5
    )


@given(
    names=st.lists(
        st.one_of(st.text(max_size=5), st.none(), st.booleans(), st.integers()), min_size=1, max_size=20
    )
)
@settings(max_examples=80, deadline=None)
def test_choices_have_places_of_their_own(names: list[object]) -> None:
    axis = scale(names)
    assert all(0 <= axis.place(name) <= 1 for name in names)


@given(count=st.integers(1, 400))
@settings(max_examples=30, deadline=None)
def test_the_best_is_seen_among_many(count: int) -> None:
    from llm_lab.sweeps.record import Sweep
    from llm_lab.sweeps.table import Table

    rows = tuple(
        Row(
            directory=str(n), run=Path(str(n)), hash=str(n), state="finished", objectives=(float(n),), front=1
        )
        for n in range(count)
    )
    sweep = Sweep(name="x", objectives=(LOSS,))
    marks = Marks(Table(directory=Path(), sweep=sweep, rows=rows, keys=(), metrics=(), seeded=False))
    colours = [marks.colour(row) for row in rows]
    assert colours[0][3] == pytest.approx(1, abs=0.01) or count == 1
    assert all(0.1 < alpha <= 1 for *_, alpha in colours)
    assert json.dumps(colours)
