"""Two ranks that train one job after another: imports are paid once.

``python -m tests.strategies.pair JOBS.json`` is one rank; `train_in_pair` starts both. A job is a run directory and the
words that compose it; a directory that holds checkpoints is resumed.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def train_in_pair(
    folder: Path,
    jobs: Mapping[str, Sequence[str]],
    *,
    resumed: Mapping[str, int] | None = None,
    ranks: int = 2,
) -> None:
    """Train jobs in run directories of their names under a folder with the toy experiment.

    Args:
        folder: working directory of the ranks.
        jobs: words by name.
        resumed: names of jobs that are then trained again as ``NAME-resumed`` from the checkpoint of a step.
        ranks: number of processes.
    """
    path = folder / "jobs.json"
    path.write_text(json.dumps({"jobs": jobs, "resumed": resumed or {}}))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    ends = []
    for rank in range(ranks):
        place = {
            "RANK": rank,
            "LOCAL_RANK": rank,
            "WORLD_SIZE": ranks,
            "LOCAL_WORLD_SIZE": ranks,
            "GROUP_RANK": 0,
        }
        more = {
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
        }
        ends.append(
            subprocess.Popen(
                [sys.executable, "-m", "tests.strategies.pair", str(path)],
                cwd=folder,
                env=os.environ | {name: str(value) for name, value in place.items()} | more,
                stdout=(folder / f"rank-{rank}.txt").open("w"),
                stderr=subprocess.STDOUT,
            )
        )
    codes = [end.wait(timeout=300) for end in ends]
    assert codes == [0] * ranks, "\n".join(
        (folder / f"rank-{rank}.txt").read_text()[-3000:] for rank in range(ranks)
    )


def state_dict(run: Path, step: int) -> dict[str, Any]:
    """Weights of the checkpoint of a step."""
    import torch

    checkpoint = torch.load(run / "checkpoints" / f"step-{step}.ckpt", weights_only=True)
    return dict(checkpoint["state_dict"])


def _lead(place: Any, path: Path) -> None:
    from omegaconf import open_dict

    from llm_lab.config.check import check
    from llm_lab.config.compose import compose
    from llm_lab.launch.rank import lead, meeting

    job = json.loads(path.read_text())
    for name, words in job["jobs"].items():
        for directory, step in ((Path(name), None), (Path(f"{name}-resumed"), job["resumed"].get(name))):
            if directory != Path(name):
                if step is None:
                    continue
                (directory / "checkpoints").mkdir(parents=True)
                source = Path(name) / "checkpoints" / f"step-{step}.ckpt"
                copy = shutil.copytree if source.is_dir() else shutil.copy
                copy(source, directory / "checkpoints" / source.name)
            config = check(compose([*words, f"name={directory.name}"])).config  # ranks know a run by its hash
            with open_dict(config):
                config.pop("hydra")
            lead(place, config, directory.absolute(), facts={"name": name})
    meeting(place).end()


def main(path: Path) -> int:
    """Be one rank."""
    from llm_lab.launch.place import placed
    from llm_lab.launch.rank import follow_all

    place = placed()
    assert place is not None
    if place.rank:
        return follow_all(place)
    _lead(place, path)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
