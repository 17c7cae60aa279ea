"""A sweep on a Ray cluster of this machine, bound to loopback, that is gone afterwards."""

from __future__ import annotations

from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.conftest import make_toy
from tests.launch.runs import LAB, LIMIT, TOY, Started, state
from tests.launch.waiting import listening, until

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed (llm-lab[launchers])"),
]


def test_a_sweep_of_two_jobs(tmp_path: Path) -> None:
    make_toy(tmp_path)
    words = ["--multirun", "hydra/launcher=ray", "seed=1,2"]
    started = Started([*LAB, *TOY, *words], cwd=tmp_path)
    heard: set[str] = set()
    until(
        lambda: heard.update(listening(started.mark)) or started.process.poll() is not None, LIMIT, "no end"
    )
    done = started.end()
    started.gone(60)
    assert done.code == 0, done.err
    assert heard and all(ip_address(one.removeprefix("::ffff:")).is_loopback for one in heard), heard
    runs = [path.parent for path in tmp_path.glob("runs/sweeps/*/*/run.json")]
    assert [state(run)["state"] for run in runs] == ["finished"] * 2
