"""The run directory: the only thing a run leaves behind, and all that the other verbs need."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from llm_lab.config.secrets import masker, storable
from llm_lab.errors import Interrupted, LabError, Pruned, RunError
from llm_lab.modes import failure
from llm_lab.tracking.files import write_json, write_text

if TYPE_CHECKING:
    from llm_lab.launch.meeting import Meeting

FACTS = ("name", "hash", "words", "strategy")  # what `run.json` says of a run before it starts
LOCK, STARTING = ".lock", ".launch.lock"  # of who writes the directory, and of who starts ranks for it
CONFIG, STATE, MODEL = "config.yaml", "run.json", "model"


@dataclass(kw_only=True)
class Run:
    """An open run directory.

    Attributes:
        directory: where everything of this run lies.
        config: the resolved config of the run, without Hydra's own node.
        loggers: the open trackers; closed with the true exit code.
        state: what ``run.json`` holds: hash, name, state, exit code, evidence.
        meeting: this rank among the others; None in a run of one process.
    """

    directory: Path
    config: DictConfig
    loggers: list[Any] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    meeting: Meeting | None = None

    @property
    def leads(self) -> bool:
        """Whether this process writes the directory: the only one, or rank 0."""
        return self.meeting is None or self.meeting.leads

    @property
    def model(self) -> Path:
        """Folder of the artifact."""
        return self.directory / MODEL

    def note(self, **facts: Any) -> None:
        """Add facts to ``run.json``, which is never seen half-written."""
        self.state.update(facts)
        write_json(self.directory / STATE, self.state)


@contextmanager
def open_run(
    config: DictConfig, directory: Path, facts: Mapping[str, Any], *, meeting: Meeting | None = None
) -> Iterator[Run]:
    """Open a run directory for one process; on the way out close the trackers and note how it ended.

    A trial that a sweep's pruner ends is no failure: the body is left, and nothing raised.

    Of several ranks only the first does that; the others leave no trace there but their log.

    Args:
        config: composed config without Hydra's node.
        directory: made if absent.
        facts: what ``run.json`` starts with: hash, name and evidence.
        meeting: this rank among the others.

    Raises:
        RunError: another process holds the directory.
    """
    directory.mkdir(parents=True, exist_ok=True)
    config.paths.run = str(directory)
    failure.masked.set(masker(config))
    run = Run(directory=directory, config=config, meeting=meeting)
    if not run.leads:
        with suppress(Pruned):
            yield run
        return
    with alone(directory):
        run.state = read_state(directory) | _masked(facts)
        run.state.pop("error", None)
        run.note(state="running", exit_code=None, started=time.time(), process=os.getpid())
        outcome: tuple[str, int] = ("failed", 1)
        try:
            yield run
            outcome = ("finished", 0)
        except Pruned:
            outcome = ("pruned", 0)
        except Exception as error:
            outcome = ("failed", error.exit_code if isinstance(error, LabError) else 1)
            run.state["error"] = failure.describe(error)
            raise
        except BaseException as error:  # Lightning makes a SystemExit of a KeyboardInterrupt
            outcome = ("interrupted", Interrupted.exit_code)
            told = str(error) if isinstance(error, Interrupted) else ""
            raise Interrupted(f"{told or 'interrupted'}; go on with: llm_lab resume {directory}") from error
        finally:
            _close(run, *outcome)


def prepare(config: DictConfig, directory: Path, facts: Mapping[str, Any]) -> None:
    """Store what the ranks that are about to start need to know.

    Raises:
        RunError: another process holds the directory.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with alone(directory):
        config.paths.run = str(directory)
        failure.masked.set(masker(config))
        write_text(directory / CONFIG, OmegaConf.to_yaml(OmegaConf.create(storable(config))))
        run = Run(directory=directory, config=config, state=read_state(directory) | _masked(facts))
        run.note(state="running", exit_code=None, started=time.time(), process=os.getpid())


def settle(directory: Path, error: BaseException) -> None:
    """Note how a run ended whose first rank could not: it was killed, or never came up."""
    state = read_state(directory)
    if state.get("state") == "running":
        ended = "interrupted" if isinstance(error, Interrupted | KeyboardInterrupt) else "failed"
        code = Interrupted.exit_code if ended == "interrupted" else getattr(error, "exit_code", 1)
        note = {"state": ended, "exit_code": code, "ended": time.time()}
        why = {"error": failure.describe(error)} if ended == "failed" else {}
        write_json(directory / STATE, {**state, **note, **why})


def _masked(facts: Mapping[str, Any]) -> dict[str, Any]:
    mask = failure.masked.get()
    return {key: [mask(word) for word in value] if key == "words" else value for key, value in facts.items()}


def _close(run: Run, state: str, exit_code: int) -> None:
    from llm_lab.tracking.trackers import close_all, publish

    if state == "pruned":
        publish(run.loggers, metrics={"run/state": state}, report=run.directory / "report.html")
    run.note(state=state, exit_code=exit_code, ended=time.time())
    close_all(run.loggers, exit_code)


@contextmanager
def alone(directory: Path, name: str = LOCK) -> Iterator[None]:
    """Hold a run directory; raises RunError, which names the process, where another one does."""
    directory.mkdir(parents=True, exist_ok=True)
    lock = FileLock(directory / name, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        process = read_state(directory).get("process", "unknown")
        raise RunError(f"{directory}: process {process} is working in this run directory") from None
    try:
        yield
    finally:
        lock.release()


def read_state(directory: Path) -> dict[str, Any]:
    """Return ``run.json`` as a mapping; empty where there is none."""
    path = directory / STATE
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise RunError(f"{path}: not a JSON object ({error})") from None


def stored_config(directory: Path) -> DictConfig:
    """Load the config of a run.

    Raises:
        RunError: the folder is not a run directory.
    """
    path = directory / CONFIG
    if not path.is_file():
        known = sorted(str(item.parent) for item in directory.parent.glob(f"*/{CONFIG}"))[-1:]
        hint = f"; did you mean {known[0]}?" if known else ""
        raise RunError(f"{directory} is not a run directory: it has no {CONFIG}{hint}")
    try:
        config = OmegaConf.load(path)
    except (YAMLError, OmegaConfBaseException, OSError, ValueError) as error:
        raise RunError(f"{path} is not readable YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(config, DictConfig):
        raise RunError(f"{path} does not hold a mapping")
    config.paths.run = str(directory)
    return config
