"""What the user sees when something fails that nobody foresaw."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path

masked: ContextVar[Callable[[str], str]] = ContextVar("masked", default=str)
"""Takes the open run's secrets out of a text."""


def report(error: BaseException) -> int:
    """Write the traceback to the run's log file and one line to the terminal; return exit code 1.

    Without an open run (no log file yet) the traceback goes to ``llm_lab-error.log`` in the working directory.
    """
    path = _log_file()
    with path.open("a", encoding="utf-8") as file:
        file.write(masked.get()("".join(traceback.format_exception(error))))
    first = masked.get()((str(error).strip().splitlines() or [""])[0])
    sys.stderr.write(f"error: {type(error).__name__}: {first} (traceback in {path})\n")
    return 1


def _log_file() -> Path:
    handlers = [item for item in logging.getLogger().handlers if isinstance(item, logging.FileHandler)]
    return Path(handlers[0].baseFilename) if handlers else Path("llm_lab-error.log")
