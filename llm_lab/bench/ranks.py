"""Jobs that ranks on this machine train in turn, some by rank 0 alone; ``python -m llm_lab.bench.ranks FILE``.

The processes stay, so that imports are paid once and jobs that are compared can take turns by the second.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, open_dict

from llm_lab.bench.mirror import mirror

QUIET = (
    "logger=none",
    "trainer.enable_progress_bar=false",
    "trainer.limit_val_batches=0",
    "callbacks.best=null",
    "callbacks.resume=null",
    "callbacks.early_stopping=null",
    "mode.test=false",
    "mode.report=false",
    "mode.baseline=false",
    "launch.oversubscribe=true",
)
Figures = dict[str, Any]


def measure(
    jobs: Mapping[str, Sequence[str]], *, alone: Sequence[str] = (), ranks: int, folder: Path
) -> dict[str, list[Figures]]:
    """Train jobs in a folder; returns for each what every rank measured.

    Args:
        jobs: words by name, trained in this order.
        alone: names of jobs for rank 0 alone, while the others wait.
        ranks: processes, with one thread each.
        folder: empty; run directories go there.

    Raises:
        RuntimeError: a rank failed; with the end of what it said.
    """
    file = folder / "jobs.json"
    file.write_text(json.dumps({"jobs": jobs, "alone": list(alone)}), encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = [_start(rank, ranks, port, file) for rank in range(ranks)]
    codes = [rank.wait() for rank in running]
    if any(codes):
        said = [(folder / f"rank-{rank}.txt").read_text(encoding="utf-8")[-3000:] for rank in range(ranks)]
        raise RuntimeError(f"ranks ended with {codes}:\n" + "\n".join(said))
    return {
        name: [
            json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob(f"{name}.rank*.json"))
        ]
        for name in jobs
    }


def _start(rank: int, ranks: int, port: int, file: Path) -> subprocess.Popen[bytes]:
    place = {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "WORLD_SIZE": ranks,
        "LOCAL_WORLD_SIZE": ranks,
        "GROUP_RANK": 0,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "OMP_NUM_THREADS": 1,
    }
    with (file.parent / f"rank-{rank}.txt").open("wb") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "llm_lab.bench.ranks", str(file)],
            env=os.environ | mirror() | {name: str(value) for name, value in place.items()},
            cwd=file.parent,
            stdout=said,
            stderr=subprocess.STDOUT,
        )


def main(file: Path) -> int:
    """Be one rank."""
    from llm_lab.bench.probe import Probe
    from llm_lab.launch.place import placed
    from llm_lab.launch.rank import follow_all
    from llm_lab.modes import train as way

    place = placed()
    rank, real = (place.rank if place else 0), vars(way)["build_trainer"]

    def probed(run: Any, parallel: Any, callbacks: Sequence[Any]) -> Any:
        probe = Probe(file=file.parent / f"{run.directory.name}.rank{rank}.json")
        return real(run, parallel, [*callbacks, probe])

    vars(way)["build_trainer"] = probed
    if place and place.rank:
        return follow_all(place)
    _lead(place, json.loads(file.read_text(encoding="utf-8")), file.parent)
    return 0


def _lead(place: Any, work: dict[str, Any], folder: Path) -> None:
    from llm_lab.launch.rank import lead, meeting
    from llm_lab.modes.train import train

    for name, words in work["jobs"].items():
        config, directory = _composed([*words, f"name={name}"]), folder / name  # ranks know a run by its hash
        if place is None or name in work["alone"]:
            train(config, directory, facts={"name": name})
        else:
            lead(place, config, directory, facts={"name": name})
    if place:
        meeting(place).end()


def _composed(words: Sequence[str]) -> DictConfig:
    from llm_lab.config.check import check
    from llm_lab.config.compose import compose

    config = check(compose(words)).config
    with open_dict(config):
        config.pop("hydra")
    return config


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
