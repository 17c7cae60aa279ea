"""What is said of ranks that failed: the error of the first, not of those that failed for it."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from llm_lab.errors import ConfigError, DataError, Interrupted, RunError
from llm_lab.launch.agent import NODE, Agent, _first
from llm_lab.launch.options import Launch


def failure(folder: Path, rank: int, code: int, **told: object) -> ProcessFailure:
    """A rank that ended with this exit code, and what it wrote about that."""
    file = folder / f"{rank}.json"
    if told:
        file.write_text(json.dumps({"message": {"message": "", "extraInfo": {"timestamp": "1", **told}}}))
    return ProcessFailure(local_rank=rank, pid=1000 + rank, exitcode=code, error_file=str(file))


def test_the_one_that_failed_first_is_named(tmp_path: Path) -> None:
    lost = failure(tmp_path, 0, 1, kind="RuntimeError", text="RuntimeError: Connection closed", time=12.5)
    cause = failure(tmp_path, 1, 1, kind="ValueError", text="ValueError: no more", time=12.1)
    assert str(_first({0: lost, 1: cause})) == "rank 1: ValueError: no more"


def test_a_sudden_death_comes_before_what_others_say_of_it(tmp_path: Path) -> None:
    lost = failure(tmp_path, 0, 1, kind="RuntimeError", text="RuntimeError: Connection closed", time=12.5)
    found = _first({0: lost, 1: failure(tmp_path, 1, -9), 2: failure(tmp_path, 2, -15)})
    assert str(found) == "rank 1 died: SIGKILL (out of memory?)"


def test_an_exit_without_a_word(tmp_path: Path) -> None:
    assert str(_first({1: failure(tmp_path, 1, 3)})) == "rank 1 died: exit code 3"


def test_a_mistake_of_the_user_is_told_as_by_one_process(tmp_path: Path) -> None:
    found = _first({0: failure(tmp_path, 0, 1, kind="DataError", text="toy.csv:3: no label", time=1.0)})
    assert isinstance(found, DataError) and str(found) == "toy.csv:3: no label"


def test_an_interruption_is_no_failure(tmp_path: Path) -> None:
    found = _first({0: failure(tmp_path, 0, 130, kind="Interrupted", text="interrupted; go on", time=1.0)})
    assert isinstance(found, Interrupted)


def test_a_file_that_was_cut_off_counts_as_none(tmp_path: Path) -> None:
    torn = failure(tmp_path, 0, 1)
    (tmp_path / "0.json").write_text('{"message": {"mess')
    assert str(_first({0: torn})) == "rank 0 died: exit code 1"


def test_several_nodes_need_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NODE:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MASTER_ADDR", "10.77.0.1")
    with pytest.raises(ConfigError, match=r"trainer.num_nodes=2: .*\(MASTER_PORT, NODE_RANK missing\)"):
        Agent(directory=tmp_path, ranks=1, nodes=2, options=Launch())


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("NODE_RANK", "x", "NODE_RANK=x is not a number"),
        ("NODE_RANK", "2", "NODE_RANK=2 is none of the 2 nodes"),
        ("MASTER_PORT", "x", "MASTER_PORT=x is not a number"),
        ("MASTER_PORT", "99999", "MASTER_PORT=99999: .*; set it to a free port"),
    ],
)
def test_several_nodes_need_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    for known, right in {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29599", "NODE_RANK": "0"}.items():
        monkeypatch.setenv(known, value if known == name else right)
    with pytest.raises(RunError, match=words):
        Agent(directory=tmp_path, ranks=1, nodes=2, options=Launch())


@pytest.mark.parametrize("host", ["127.0.0.1", ""])
def test_a_port_in_use_is_told_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    with socket.create_server((host, 0)) as taken:
        port = str(taken.getsockname()[1])
        for name, value in {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "NODE_RANK": "0"}.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(RunError, match=f"MASTER_PORT={port}: Address already in use"):
            Agent(directory=tmp_path, ranks=1, nodes=2, options=Launch())
        monkeypatch.setenv("NODE_RANK", "1")  # the port is the first node's
        Agent(directory=tmp_path, ranks=1, nodes=2, options=Launch())
    monkeypatch.setenv("NODE_RANK", "0")
    Agent(directory=tmp_path, ranks=1, nodes=2, options=Launch())
