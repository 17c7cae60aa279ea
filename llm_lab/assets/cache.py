"""The cache: finished entries that appear in one rename, and a lock per asset.

Layout of `home()`: `entries/KEY/content/NAME` with `entries/KEY/entry.json` (size of every file), `partial/`
(downloads under way), `staging/` (entries being made), `names/` (the sha256 found for a URI without one),
`digests/` and `locks/`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llm_lab.errors import ConfigError

_PATIENCE = 2.0  # seconds to wait for another process before saying so


def home() -> Path:
    """The folder of everything fetched: `$LLM_LAB_HOME`, else `llm_lab` in the user's cache folder."""
    if own := os.environ.get("LLM_LAB_HOME"):
        return Path(own).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / "llm_lab"


def room(name: str) -> Path:
    """A folder of the cache, made where it is not there yet.

    Raises:
        ConfigError: it cannot be made or written to; names the variable that says where the cache lies.
    """
    folder = home() / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        why = "" if os.access(folder, os.W_OK) else "it cannot be written to"
    except OSError as error:
        why = error.strerror or str(error)
    if why:
        raise ConfigError(f"LLM_LAB_HOME: no cache can be kept in {home()}: {why}; set it to another folder")
    return folder


def load(key: str) -> Path | None:
    """The finished content of an entry; None where there is none or a file is missing or has another size."""
    folder = home() / "entries" / key
    try:
        record = json.loads((folder / "entry.json").read_text())
        intact = all(
            (folder / "content" / name).stat().st_size == size for name, size in record["files"].items()
        )
    except (OSError, ValueError, KeyError):
        return None
    return folder / "content" / str(record["name"]) if intact else None


def once(key: str, make: Callable[[Path], Path], *, uri: str) -> Path:
    """The entry's content, made by exactly one of all processes that ask for it.

    `make` gets an empty folder and returns the file or folder that it made directly in it.
    """
    if found := load(key):
        return found
    with lock(key, uri=uri):
        return load(key) or _publish(key, make, uri)


def _publish(key: str, make: Callable[[Path], Path], uri: str) -> Path:
    staging, final = home() / "staging" / key, home() / "entries" / key
    shutil.rmtree(staging, ignore_errors=True)  # what a killed process left
    content = staging / "content"
    content.mkdir(parents=True)
    made = make(content)
    files = {
        file.relative_to(content).as_posix(): file.stat().st_size
        for file in content.rglob("*")
        if file.is_file()
    }
    write_json(staging / "entry.json", {"uri": uri, "name": made.name, "files": files})
    shutil.rmtree(final, ignore_errors=True)
    final.parent.mkdir(parents=True, exist_ok=True)
    staging.replace(final)
    return final / "content" / made.name


@contextmanager
def lock(key: str, *, uri: str) -> Iterator[None]:
    """Hold the asset's lock; says on the terminal when another process holds it."""
    from filelock import FileLock, Timeout

    held = FileLock(room("locks") / f"{_hash(key)}.lock")
    try:
        held.acquire(timeout=_PATIENCE)
    except Timeout:
        print(f"waiting for another process that fetches {uri}", file=sys.stderr)  # noqa: T201 - for the user
        held.acquire()
    try:
        yield
    finally:
        held.release()


def partial(key: str) -> Path:
    """Where a download under way is kept, so that a later process can continue it."""
    path = home() / "partial" / _hash(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def recall(root: str) -> str:
    """The sha256 found when the file of this URI was first fetched; empty where it never was."""
    try:
        return str(json.loads(_name(root).read_text())["sha256"])
    except (OSError, ValueError, KeyError):
        return ""


def remember(root: str, sha256: str) -> None:
    """Pin the URI of a file to the sha256 found now."""
    write_json(_name(root), {"uri": root, "sha256": sha256})


def write_json(path: Path, value: Any) -> None:
    """Write under a temporary name and rename, so that no reader sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(value))
    temporary.replace(path)


def _name(root: str) -> Path:
    return home() / "names" / f"{_hash(root)}.json"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
