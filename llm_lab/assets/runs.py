"""`run://`: what another run left behind, found by path or hash, or trained first where it is not there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from llm_lab.assets import cache
from llm_lab.assets.near import proposal
from llm_lab.assets.uri import RunUri
from llm_lab.errors import AssetError

_HASH = re.compile(r"[0-9a-f]{6,64}")
_CHAIN = "LLM_LAB_RUN_CHAIN"  # hashes of the runs that wait for this one, so that a circle is seen
_DEBUG = "LLM_LAB_DEBUG"  # the +debug choice of the run that asks
# What tells a process that it is one rank of many: the run that is started is none of them.
_RANK = re.compile(
    r"(LOCAL_|GROUP_|ROLE_|NODE_)?RANK|(LOCAL_|GROUP_|ROLE_)?WORLD_SIZE|MASTER_(ADDR|PORT)|TORCHELASTIC_\w+"
)


def find_run(uri: RunUri) -> Path:
    """The run directory, or `path` in it; AssetError names the runs that are there."""
    run = _by_experiment(uri) if uri.experiment else _by_place(uri)
    if not (run / uri.path).exists():
        raise AssetError(f"{uri}: {run} holds no {uri.path!r}{proposal(uri.path, os.listdir(run))}")  # noqa: PTH208
    return run / uri.path


def _by_place(uri: RunUri) -> Path:
    path = Path(uri.place).expanduser()
    if path.exists():
        return path.absolute()
    head, _, inside = uri.place.partition("/")
    if _HASH.fullmatch(head):
        if not (run := finished(head)):
            raise AssetError(
                f"{uri}: no finished run under {_runs()} has a hash that starts with {head}{_known(head)}"
            )
        if not (run / inside).exists():
            raise AssetError(f"{uri}: {run} holds no {inside!r}{proposal(inside, os.listdir(run))}")  # noqa: PTH208
        return run / inside
    folders = [str(run.relative_to(_runs().parent)) for run, _ in _all_runs()]
    raise AssetError(f"{uri}: there is no folder {path.absolute()}{proposal(uri.place, folders)}")


def _by_experiment(uri: RunUri) -> Path:
    from llm_lab.config.run_hash import run_hash_of

    debug = [f"+debug={os.environ[_DEBUG]}"] if os.environ.get(_DEBUG) else []
    words = [f"+experiment={uri.experiment}", *debug, *uri.overrides]
    wanted = run_hash_of(words)
    with turn(wanted, asker=str(uri)):
        if not finished(wanted):
            _train(uri, words, wanted)
        run = finished(wanted)
    if not run:
        raise AssetError(
            f"{uri}: its training ended, but no finished run under {_runs()} has the hash {wanted}"
        )
    return run


def _train(uri: RunUri, words: list[str], wanted: str) -> None:
    chain = os.environ.get(_CHAIN, "").split()
    if wanted in chain:
        raise AssetError(f"{uri}: the run {wanted} waits for itself")
    inherited = {name: value for name, value in os.environ.items() if not _RANK.fullmatch(name)}
    command = [sys.executable, "-m", "llm_lab", *words, *going_on(wanted)]
    print(f"{uri} is not there yet: {' '.join(command[1:])}", file=sys.stderr)  # noqa: T201 - for the user
    done = subprocess.run(
        command, env=inherited | {_CHAIN: " ".join([*chain, wanted])}, stdout=sys.stderr.fileno(), check=False
    )
    if done.returncode:
        raise AssetError(
            f"{uri}: its training failed with exit code {done.returncode}; its log is in its run directory"
        )


def finished(prefix: str) -> Path | None:
    """The newest run under `./runs` whose hash starts with `prefix` and that has its metrics."""
    fitting = [
        run for run, found in _all_runs() if found.startswith(prefix) and (run / "metrics.json").is_file()
    ]
    return max(fitting, key=lambda run: (run / "metrics.json").stat().st_mtime_ns, default=None)


def going_on(wanted: str) -> list[str]:
    """The word that lets a training go on in the newest run directory of its hash that did not come to its end."""
    left = [run for run, found in _all_runs() if found == wanted and (run / "checkpoints").is_dir()]
    if not left:
        return []
    newest = str(max(left, key=lambda run: run.stat().st_mtime_ns)).replace("'", r"\'")
    return [f"hydra.run.dir='{newest}'"]


def turn(wanted: str, *, asker: str) -> AbstractContextManager[None]:
    """Hold this while a run of that hash is looked for and trained: of two processes that ask, one trains."""
    return cache.lock(f"run {_runs()} {wanted}", uri=asker)


def _known(prefix: str) -> str:
    return proposal(prefix, (found for _, found in _all_runs()))


def _all_runs() -> Iterator[tuple[Path, str]]:
    """Every run directory under `./runs` with its hash; a run directory is not searched further."""
    for parent, folders, files in os.walk(_runs()):
        if "run.json" in files:
            folders.clear()
            yield Path(parent), _hash_of(Path(parent) / "run.json")


def _hash_of(record: Path) -> str:
    try:
        return str(json.loads(record.read_text())["hash"])
    except (OSError, ValueError, KeyError, TypeError):  # being written, or not ours
        return ""


def _runs() -> Path:
    return Path("runs").absolute()
