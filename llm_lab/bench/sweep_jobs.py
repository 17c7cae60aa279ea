"""The process that the benchmark of a sweep looks at: a command, with a stopwatch in each job's Trainer."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

WALL_START = psutil.Process().create_time()
CLOCKS: dict[str, Callable[[], float]] = {
    "wall": lambda: time.time() - WALL_START,
    "processor": time.process_time,
}


def main(words: list[str]) -> int:
    """Run the command; seconds since the process began go to the file that the first word names."""
    from llm_lab.__main__ import main as command

    marks = watch()
    code = command(words[1:])
    figures = {
        clock: {
            "start-up of the first": marks[0][clock],
            "steps, validations and tests": sum(
                end[clock] - start[clock] for start, end in zip(marks[::2], marks[1::2], strict=True)
            ),
            "eight jobs": CLOCKS[clock](),
        }
        for clock in CLOCKS
    }
    Path(words[0]).write_text(json.dumps(figures), encoding="utf-8")
    return code


def watch() -> list[dict[str, float]]:
    """Let every Trainer note when it begins and ends to compute: the fit's batches, and the test."""
    from pytorch_lightning import Callback, Trainer

    from llm_lab.modes import train

    marks: list[dict[str, float]] = []

    def mark(*_: Any) -> None:
        marks.append({name: clock() for name, clock in CLOCKS.items()})

    attach = train.attach

    def attached(*args: Any) -> Trainer:
        hooks = ("on_train_start", "on_fit_end", "on_test_start", "on_test_end")
        trainer, stopwatch = attach(*args), Callback()
        for hook in hooks:
            setattr(stopwatch, hook, mark)
        trainer.callbacks.append(stopwatch)  # type: ignore[attr-defined]
        return trainer

    train.attach = attached  # type: ignore[assignment]
    return marks


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
