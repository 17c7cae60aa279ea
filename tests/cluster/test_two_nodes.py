"""One run across two nodes: two network namespaces, each with an interface of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.cluster.namespaces import ADDRESSES, two_nodes, why_not
from tests.conftest import Result, make_toy
from tests.launch.runs import LAB, TORCHRUN, TOY, TWO, Started, difference, metrics, state

pytestmark = pytest.mark.cluster
AT = {"MASTER_ADDR": ADDRESSES[0], "MASTER_PORT": "29511"}
NODES = (*TOY, "trainer.num_nodes=2")
SECONDS = 60.0  # for an error to come, imports on a busy machine included; a hang would be minutes


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[list[str]]]:
    if reason := why_not():
        pytest.skip(reason)
    with two_nodes() as found:
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy(tmp_path_factory.mktemp("nodes"))


@pytest.fixture(scope="module")
def here(folder: Path) -> Path:
    """The same run by two ranks of one machine."""
    assert Started([*LAB, *TWO, "hydra.run.dir=here"], cwd=folder).end().code == 0
    return folder / "here"


def on_both(nodes: list[list[str]], words: Sequence[str], folder: Path, **env: str) -> list[Result]:
    """Start a command with plain environment variables on both nodes and wait for both."""
    started = [
        Started([*node, *words], cwd=folder, **AT, NODE_RANK=str(number), **env)
        for number, node in enumerate(nodes)
    ]
    try:
        return [one.end() for one in started]
    finally:
        for one in started:
            one.gone(30)


def test_plain_environment_variables(nodes: list[list[str]], folder: Path, here: Path) -> None:
    done = on_both(nodes, [*LAB, *NODES, "hydra.run.dir=plain"], folder)
    assert [one.code for one in done] == [0, 0], [one.err for one in done]
    assert metrics(folder / "plain")["run/world_size"] == 2
    assert sorted(path.name for path in (folder / "plain" / "logs").glob("*.log")) == [
        "rank-0.log",
        "rank-1.log",
    ]
    assert difference(folder / "plain", here) < 1e-6


def test_torchrun(nodes: list[list[str]], folder: Path, here: Path) -> None:
    started = []
    for number, node in enumerate(nodes):
        where = (f"--node-rank={number}", f"--master-addr={ADDRESSES[0]}", "--master-port=29512")
        words = [*node, *TORCHRUN, "--nnodes=2", "--nproc-per-node=1", *where, "-m", "llm_lab"]
        started.append(Started([*words, *NODES, "hydra.run.dir=torchrun"], cwd=folder))
    done = [one.end() for one in started]
    assert [one.code for one in done] == [0, 0], [one.err for one in done]
    assert metrics(folder / "torchrun")["run/world_size"] == 2
    assert difference(folder / "torchrun", here) < 1e-6


def test_zero_2(nodes: list[list[str]], folder: Path, here: Path) -> None:
    words = [*LAB, *NODES, "strategy=deepspeed_zero2", "hydra.run.dir=zero"]
    done = on_both(nodes, words, folder)
    assert [one.code for one in done] == [0, 0], [one.err for one in done]
    assert metrics(folder / "zero")["run/world_size"] == 2
    assert difference(folder / "zero", here) < 1e-4


def test_a_wrong_interface_is_an_error(nodes: list[list[str]], folder: Path) -> None:
    words = [*LAB, *NODES, "launch.timeout=5", "hydra.run.dir=wrong"]
    for done in on_both(nodes, words, folder, GLOO_SOCKET_IFNAME="nosuch0"):
        errors = re.findall(r"^error: .*", done.err, re.MULTILINE)
        assert done.code == 1 and len(errors) == 1, done.err
        assert "network interface nosuch0" in errors[0] and "GLOO_SOCKET_IFNAME" in errors[0]
        assert "Traceback" not in done.err
    assert state(folder / "wrong")["state"] == "failed"


@pytest.mark.parametrize("number", [0, 1])
def test_a_node_that_never_comes(nodes: list[list[str]], folder: Path, number: int) -> None:
    words = [*nodes[number], *LAB, *NODES, "launch.timeout=5", f"hydra.run.dir=alone-{number}"]
    started = Started(words, cwd=folder, **AT, NODE_RANK=str(number))
    done = started.end(SECONDS)
    started.gone(30)
    errors = re.findall(r"^error: .*", done.err, re.MULTILINE)
    assert done.code == 1 and len(errors) == 1, done.err
    assert "5 s" in errors[0] and "Traceback" not in done.err
