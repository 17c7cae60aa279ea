"""Our own contestant: ``python -m llm_lab.bench.ours FILE WORDS...`` trains what the words compose, timed."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import open_dict

from llm_lab.bench.clock import Clock
from llm_lab.config.check import check
from llm_lab.config.compose import compose
from llm_lab.modes import train as way
from llm_lab.modes.trainer import build_trainer


def main(file: Path, words: Sequence[str]) -> None:
    """Do what the command does, with a stopwatch among the callbacks; its figures, curve and test metrics as JSON."""
    config = check(compose(words)).config
    with open_dict(config):
        config.pop("hydra")
    clock = Clock()

    def timed(run: Any, parallel: Any, callbacks: Sequence[Any]) -> Any:
        return build_trainer(run, parallel, [*callbacks, clock])

    # No config may name what lies in this package, so the words cannot add it.
    vars(way)["build_trainer"] = timed
    metrics = way.train(config, file.parent / "run", facts={"name": "bench"})
    tested = {
        name.removeprefix("test/"): value for name, value in metrics.items() if name.startswith("test/")
    }
    file.write_text(json.dumps(clock.figures() | {"curve": clock.curve} | tested), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2:])
