"""What the user sees when something fails that nobody foresaw."""

from __future__ import annotations

import errno
import logging
import os
import sys
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path

from llm_lab.errors import LabError

FAILED, OUT_OF_MEMORY = "failed", "out_of_memory"
_NO_MEMORY = ("OutOfMemoryError", "MemoryError")
_CPU_ALLOCATOR = "DefaultCPUAllocator: can't allocate memory"  # torch raises a RuntimeError on a CPU
OF_PLACES = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR,
)  # fmt: skip
masked: ContextVar[Callable[[str], str]] = ContextVar("masked", default=str)
"""Takes the open run's secrets out of a text."""


def report(error: BaseException) -> int:
    """Write the traceback to the run's log file and one line to the terminal; return exit code 1.

    Without an open run (no log file yet) the traceback goes to ``llm_lab-error.log`` in the working directory. A place
    that cannot be written has no traceback: there is nothing to find out.
    """
    if isinstance(error, OSError) and error.errno in OF_PLACES and isinstance(error.filename, str | bytes):
        sys.stderr.write(f"error: {masked.get()(_of_place(error))}\n")
        return 1
    path = _log_file()
    with path.open("a", encoding="utf-8") as file:
        file.write(masked.get()("".join(traceback.format_exception(error))))
    first = masked.get()((str(error).strip().splitlines() or [""])[0])
    sys.stderr.write(f"error: {type(error).__name__}: {first} (traceback in {path})\n")
    return 1


def _of_place(error: OSError) -> str:
    from llm_lab.assets import home

    place = Path(os.fsdecode(error.filename)).absolute()
    hint = "; LLM_LAB_HOME names another folder for what is kept" if place.is_relative_to(home()) else ""
    return f"{place}: {error.strerror}{hint}"


def describe(error: BaseException) -> dict[str, str]:
    """Return ``kind`` and ``message`` of an error, the message one line without secrets."""
    names = {kind.__name__ for kind in type(error).__mro__}
    full = names.intersection(_NO_MEMORY) or _CPU_ALLOCATOR in str(error)
    first = (str(error).strip().splitlines() or [""])[0]
    message = first if isinstance(error, LabError) else f"{type(error).__name__}: {first}".removesuffix(": ")
    return {"kind": OUT_OF_MEMORY if full else FAILED, "message": masked.get()(message)}


def _log_file() -> Path:
    handlers = [item for item in logging.getLogger().handlers if isinstance(item, logging.FileHandler)]
    return Path(handlers[0].baseFilename) if handlers else Path("llm_lab-error.log")
