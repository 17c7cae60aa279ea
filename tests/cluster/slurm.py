"""A real Slurm of one machine, on the loopback interface only; all that its daemons keep lies in one folder.

By hand: ``python -m tests.cluster.slurm start FOLDER``, then ``export SLURM_CONF=FOLDER/slurm.conf``, and
``python -m tests.cluster.slurm stop FOLDER``. Needs Debian's slurm-wlm and munge, but not root.
"""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from tests.launch.waiting import until

DAEMONS = ("munged", "slurmctld", "slurmd")
PROGRAMS = (*DAEMONS, "srun", "sbatch", "squeue", "scancel", "scontrol", "sinfo")
SYSTEM = ("/usr/sbin", "/sbin")  # where Debian keeps daemons, not on every user's PATH
CONF = "slurm.conf"
SETTINGS = """ClusterName=here
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CryptoType=crypto/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=6
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=0,batch_sched_delay=0
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobRequeue=1
FirstJobId={controller}
KillWait=20
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=debug Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=YES
"""
# FirstJobId: the ranks' port follows from the job's number, and another Slurm may be at work on this machine
# cred_expire: a requeued job waits for so many seconds instead of 120


def missing() -> list[str]:
    """Programs that are not installed."""
    return [name for name in PROGRAMS if _program(name) is None]


def start(folder: Path) -> dict[str, str]:
    """Start the daemons and wait until the node takes jobs; returns what the environment needs."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # munge: nobody else may write here
    for name in ("state", "spool"):
        (folder / name).mkdir(exist_ok=True)
    _write_key(folder / "munge.key")
    host, (controller, node) = socket.gethostname().partition(".")[0], free_ports(2)
    names = {
        "host": host,
        "controller": controller,
        "node": node,
        "user": getpass.getuser(),
        "folder": folder,
    }
    (folder / CONF).write_text(SETTINGS.format(**names))
    environment = {"SLURM_CONF": str(folder / CONF)}
    try:
        _start_all(folder, host)
        until(lambda: _idle(environment), 60, f"Slurm takes no jobs; its logs are in {folder}")
    except BaseException:
        stop(folder)
        raise
    return environment


def stop(folder: Path) -> None:
    """End all jobs, wait until they are gone, and end the daemons that were started with this folder."""
    environment = {"SLURM_CONF": str(folder / CONF)}
    if (folder / "slurmctld.started").exists():
        scancel(environment)
        scancel(environment, "--signal=KILL", "--full")
        with suppress(TimeoutError, subprocess.TimeoutExpired):
            until(lambda: not _told(environment, "squeue", "--noheader"), 40, "jobs are left")
    for name in reversed(DAEMONS):
        _end(folder / f"{name}.started")


def scancel(environment: dict[str, str], *words: str) -> None:
    """Cancel or signal every job of this user; on a cluster that does not answer, nothing."""
    with suppress(subprocess.TimeoutExpired):
        _told(environment, "scancel", *words, "--user", getpass.getuser())


def _start_all(folder: Path, host: str) -> None:
    munge = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    files = [f"--{option}={folder}/munge.{ending}" for option, ending in munge.items()]
    _start(folder, "munged", "--foreground", "--force", *files)
    until((folder / "munge.socket").exists, 20, f"munged does not start; see {folder}/munged.out")
    _start(folder, "slurmctld", "-D", "-f", str(folder / CONF))
    _start(folder, "slurmd", "-D", "-f", str(folder / CONF), "-N", host)


def _start(folder: Path, name: str, *words: str) -> None:
    """Start a daemon that outlives us, and remember it."""
    program = _program(name)
    assert program is not None
    with (folder / f"{name}.out").open("wb") as output:
        child = subprocess.Popen(
            [program, *words], stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    (folder / f"{name}.started").write_text(f"{child.pid} {psutil.Process(child.pid).create_time()}")


def _end(started: Path) -> None:
    """End a daemon, by force where it does not listen; a process that has its number by chance is left alone."""
    if not started.exists():
        return
    number, created = started.read_text().split()
    started.unlink()
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(int(number))
        if abs(process.create_time() - float(created)) > 1:
            return
        process.terminate()
        try:
            process.wait(20)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(20)


def _idle(environment: dict[str, str]) -> bool:
    """Whether the node takes jobs."""
    return _told(environment, "sinfo", "--noheader", "--format=%t") == "idle"


def _told(environment: dict[str, str], *command: str) -> str:
    """What a command prints; nothing where the controller does not answer."""
    environment = os.environ | environment
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=False)
    return done.stdout.strip()


def _program(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *SYSTEM]))


def _write_key(path: Path) -> None:
    path.touch(mode=0o600)
    path.write_bytes(secrets.token_bytes(128))


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody listens at just now."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [listener.getsockname()[1] for listener in listeners]
    finally:
        for listener in listeners:
            listener.close()


if __name__ == "__main__":
    {"start": start, "stop": stop}[sys.argv[1]](Path(sys.argv[2]).absolute())
