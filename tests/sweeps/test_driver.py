"""What the driver makes of launchers that break, and of states that an earlier issue left behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from llm_lab.errors import RunError
from llm_lab.sweeps.driver import Driver
from llm_lab.sweeps.record import Job, Sweep, state_of

HYDRA = {
    "sweep": {"dir": "sweep", "subdir": "${hydra.job.num}"},
    "launcher": {"_target_": "hydra._internal.core_plugins.basic_launcher.BasicLauncher"},
}


class Launcher:
    """Starts jobs by calling a function with their directories' names; may break."""

    def __init__(self, start: Callable[[list[str]], None]) -> None:
        self.start, self.rounds = start, 0

    def launch(self, words: Sequence[Sequence[str]], initial_job_idx: int) -> None:
        self.rounds += 1
        assert self.rounds < 10, "the driver asks for ever"
        self.start([word[0] for word in words])


def note(folder: Path, name: str, **state: object) -> None:
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "run.json").write_text(json.dumps(state))


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    monkeypatch.chdir(tmp_path)
    context = SimpleNamespace(config=OmegaConf.create({"hydra": HYDRA}))
    jobs = [
        Job(number=number, trial=number, words=(name,), directory=name) for number, name in enumerate("ab")
    ]
    return Driver(context, Sweep(name="toy", trials=2, on_failure="retry", retries=1, jobs=jobs))


def run(driver: Driver, start: Callable[[list[str]], None]) -> Launcher:
    launcher = Launcher(start)
    driver._launcher, driver._numbered = launcher, False
    driver.launch(driver.sweep.jobs)
    return launcher


def test_a_launcher_that_keeps_failing_after_a_death_is_given_up(driver: Driver) -> None:
    def start(names: list[str]) -> None:
        if "a" in names and state_of(driver.directory / "a") != "failed":
            note(driver.directory, "a", state="running", started=1.0)
        raise OSError("no more jobs today")

    with pytest.raises(RunError, match="could not start a job: no more jobs today"):
        run(driver, start)
    assert state_of(driver.directory / "a") == "failed"


@pytest.mark.parametrize("stale", ["running", "failed", "interrupted"])
def test_what_an_earlier_issue_left_is_no_news(driver: Driver, stale: str) -> None:
    note(driver.directory, "b", state=stale, started=0.5)
    broken = iter([True])

    def start(names: list[str]) -> None:
        for name in names:
            if name == "b" and next(broken, False):
                raise OSError("the pool broke before b began")
            note(driver.directory, name, state="finished", started=2.0)

    launcher = run(driver, start)
    assert launcher.rounds == 2
    assert [state_of(driver.directory / name) for name in "ab"] == ["finished", "finished"]
