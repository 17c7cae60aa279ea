"""Ranks that are started again when one of them dies go on in the same run directory, to the same end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import make_toy
from tests.launch.runs import LAB, TORCHRUN, TOY, TWO, Started, difference, metrics, state, struck, trouble

pytestmark = pytest.mark.cluster
WAYS = {
    "elastic": [*LAB, *TWO, "launch.elastic=true"],
    "torchrun": [*TORCHRUN, "--standalone", "--nproc-per-node=2", "--max-restarts=1", "-m", "llm_lab", *TOY],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy(tmp_path_factory.mktemp("restart"))


@pytest.fixture(scope="module")
def whole(folder: Path) -> Path:
    assert Started([*LAB, *TWO, "hydra.run.dir=whole"], cwd=folder).end().code == 0
    return folder / "whole"


@pytest.mark.parametrize("way", WAYS)
def test_a_killed_rank_comes_back(way: str, folder: Path, whole: Path) -> None:
    words = [trouble(folder / f"trouble-{way}", step=9, kind="kill"), f"paths.runs={way}"]
    started = Started([*WAYS[way], *words], cwd=folder)
    struck(folder / f"trouble-{way}", 1)
    done = started.end()
    started.gone(30)
    assert done.code == 0, done.err
    (run,) = (path.parent for path in (folder / way).rglob("run.json"))
    assert (state(run)["state"], metrics(run)["run/world_size"]) == ("finished", 2)
    assert difference(run, whole) == 0
