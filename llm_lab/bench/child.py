"""Runs one contestant in a process of its own: clean state, honest peak memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


def run_module(
    module: str, words: Sequence[str], *, folder: Path, environment: Mapping[str, str] | None = None
) -> None:
    """Run ``python -m MODULE WORDS...`` in a folder.

    Raises:
        RuntimeError: the child failed; with the end of what it said.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        env=os.environ | dict(environment or {}),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = f"{done.stdout[-2000:]}{done.stderr[-4000:]}"
        raise RuntimeError(f"{module} {' '.join(words)} ended with {done.returncode}:\n{said}")
