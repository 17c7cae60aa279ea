"""Which rank a process is, as torchrun, Slurm or a plain environment say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_lab.errors import RunError
from llm_lab.launch.place import Place, first_host, placed

STEP = {
    "SLURM_JOB_ID": "17",
    "SLURM_JOB_NAME": "sentiment",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_NODELIST": "gpu[07-08]",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
}


@given(nodes=st.integers(1, 4), local=st.integers(1, 8), data=st.data())
def test_what_is_handed_down_is_read_back(nodes: int, local: int, data: st.DataObject) -> None:
    rank = data.draw(st.integers(0, nodes * local - 1))
    place = Place(
        rank=rank,
        world_size=nodes * local,
        local_rank=rank % local,
        local_world_size=local,
        node_rank=rank // local,
        address="10.1.2.3",
        port=4567,
    )
    assert placed(place.variables()) == (None if nodes * local == 1 else place)
    assert place.nodes == nodes


def test_a_process_of_its_own_is_no_rank() -> None:
    assert placed({}) is None
    assert placed({"MASTER_ADDR": "10.1.2.3", "MASTER_PORT": "4567", "NODE_RANK": "1"}) is None


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"RANK": "2", "WORLD_SIZE": "2"}, "RANK=2 is no rank of WORLD_SIZE=2"),
        (
            {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "0"},
            "LOCAL_WORLD_SIZE=0 is no part of WORLD_SIZE=2",
        ),
        ({"RANK": "1"}, "RANK=1 is no rank of WORLD_SIZE=1"),
        ({"RANK": "one", "WORLD_SIZE": "2"}, "RANK=one is not a number"),
        ({"RANK": "0", "WORLD_SIZE": "2", "MASTER_PORT": ""}, "MASTER_PORT=.not set. is not a number"),
        (STEP | {"SLURM_STEP_NUM_TASKS": "7"}, "7 Slurm tasks on 2 nodes.*--ntasks-per-node"),
    ],
)
def test_variables_that_contradict_each_other(variables: dict[str, str], words: str) -> None:
    with pytest.raises(RunError, match=words):
        placed(variables)


def test_a_slurm_task() -> None:
    place = placed(STEP)
    assert place is not None
    assert (place.rank, place.world_size, place.local_rank, place.local_world_size) == (5, 8, 1, 4)
    assert (place.node_rank, place.nodes, place.address) == (1, 2, "gpu07")


def test_torchrun_inside_a_slurm_task_has_the_last_word() -> None:
    place = placed(STEP | {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"})
    assert place is not None
    assert (place.rank, place.world_size) == (1, 2)


def test_slurm_tasks_of_a_script_are_ranks_too() -> None:
    place = placed(STEP | {"SLURM_JOB_NAME": "bash"})  # srun -n 8 bash script.sh
    assert place is not None and place.world_size == 8


def test_a_slurm_shell_is_one_process() -> None:
    batch = {"SLURM_JOB_ID": "17", "SLURM_NTASKS": "8", "SLURM_PROCID": "0"}
    interactive = STEP | {"SLURM_NTASKS": "8", "SLURM_STEP_NUM_TASKS": "1", "SLURM_STEP_NUM_NODES": "1"}
    assert placed(batch) is None
    assert placed(interactive | {"SLURM_PROCID": "0"}) is None


def test_steps_of_one_machine_meet_at_ports_of_their_own() -> None:
    jobs = [
        STEP | {"SLURM_JOB_ID": str(job), "SLURM_STEP_ID": str(step)} for job in (17, 18) for step in (0, 1)
    ]
    ports = {place.port for place in map(placed, jobs) if place is not None}
    assert len(ports) == 4
    assert all(1024 < port < 65536 for port in ports)


def test_the_user_names_the_port() -> None:
    place = placed(STEP | {"MASTER_ADDR": "10.1.2.3", "MASTER_PORT": "4567"})
    assert place is not None and (place.address, place.port) == ("10.1.2.3", 4567)


@pytest.mark.parametrize(
    ("nodes", "host"),
    [
        ("gpu01", "gpu01"),
        ("gpu01,gpu02", "gpu01"),
        ("gpu[03-07,9],login1", "gpu03"),
        ("gpu[03,07]", "gpu03"),
        ("rack1-gpu[003-007]", "rack1-gpu003"),
        ("gpu[1-2]-ib", "gpu1-ib"),
        ("vm", "vm"),
        ("", "127.0.0.1"),
    ],
)
def test_the_first_host_of_a_node_list(nodes: str, host: str) -> None:
    assert first_host(nodes) == host
