"""Why a job has no figure: told apart where it is caught, kept in its `run.json`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from llm_lab.modes.failure import OUT_OF_MEMORY
from llm_lab.modes.run import STATE, read_state
from llm_lab.tracking.files import write_json

KILLED = "killed"
_BY_SYSTEM = ("SIGKILL", "OutOfMemory", "oom-kill", "out of memory")


def describe_death(error: BaseException | None) -> dict[str, str]:
    """The same for a process that is gone, by what the launcher says about it."""
    said = f"{type(error).__name__}: {error}" if error is not None else ""
    if any(word in said for word in _BY_SYSTEM):
        message = "its process was killed (SIGKILL), as the system does where memory runs out"
        return {"kind": OUT_OF_MEMORY, "message": message}
    return {"kind": KILLED, "message": "its process ended without a word"}


def record(directory: Path, error: dict[str, str]) -> None:
    """Note a failure in ``run.json``, unless another process is at work there."""
    directory.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(directory / ".lock", timeout=0):
            state: dict[str, Any] = read_state(directory)
            ended = state.get("ended") if state.get("state") == "failed" else time.time()
            note = {
                "state": "failed",
                "exit_code": state.get("exit_code") or 1,
                "ended": ended,
                "error": error,
            }
            write_json(directory / STATE, state | note)
    except Timeout:
        return


def is_held(directory: Path) -> bool:
    """Whether a process is at work in a run directory."""
    if not directory.is_dir():
        return False
    try:
        with FileLock(directory / ".lock", timeout=0):
            return False
    except Timeout:
        return True
