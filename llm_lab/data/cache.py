"""Prepared data under its content hash: made once, by one process, whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from filelock import FileLock

from llm_lab import assets

DONE = "spec.json"


def content_hash(recipe: Mapping[str, Any]) -> str:
    """Hash of everything that the prepared data depend on, 32 hexadecimal digits."""
    text = json.dumps(recipe, sort_keys=True, ensure_ascii=False)
    return sha256(text.encode()).hexdigest()[:32]


def prepared(digest: str, make: Callable[[Path], None]) -> Path:
    """Return the folder of that hash, after ``make(temporary folder)`` where it is not there yet.

    Processes that ask for the same hash wait for the first. A folder appears under its name when it is
    complete.
    """
    folder = assets.home() / "data" / digest
    if (folder / DONE).is_file():  # a folder that only others may write serves as well
        return folder
    with FileLock(assets.room("data") / f"{digest}.lock"):
        if not (folder / DONE).is_file():
            _make(folder, make)
    return folder


def _make(folder: Path, make: Callable[[Path], None]) -> None:
    for left_over in folder.parent.glob(
        f"{folder.name}.tmp*"
    ):  # of a process that was killed: we hold the lock
        shutil.rmtree(left_over)
    shutil.rmtree(folder, ignore_errors=True)
    temporary = Path(mkdtemp(prefix=f"{folder.name}.tmp", dir=folder.parent))
    try:
        make(temporary)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
