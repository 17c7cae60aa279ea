"""Keep the terminal for what concerns the user: libraries talk to the log file, or not at all."""

from __future__ import annotations

import logging
from pathlib import Path

CHATTY = ("pytorch_lightning", "lightning.pytorch", "lightning_fabric", "py.warnings")
LOG = "llm_lab.log"


def log_rank(directory: Path, rank: int) -> None:
    """Append to the log file of one rank of a run; rank 0 warns on the terminal too."""
    folder = directory / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    log_to(directory, name=f"logs/rank-{rank}.log", console=rank == 0)


def log_to(directory: Path, *, name: str = LOG, console: bool = True) -> None:
    """Append to a run's log file as a Hydra job does: everything there, warnings on the terminal too."""
    file, screen = logging.FileHandler(directory / name, encoding="utf-8"), logging.StreamHandler()
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    screen.setLevel(logging.WARNING)
    screen.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    handlers: list[logging.Handler] = [file, screen] if console else [file]
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)
    for chatty in (*CHATTY, "transformers"):
        logger = logging.getLogger(chatty)
        logger.handlers, logger.propagate = [file], False
    hush(log_file=True)


def hush(*, log_file: bool) -> None:
    """Take hints, deprecations and inner progress bars of libraries from the terminal.

    Args:
        log_file: whether the root logger writes to a run's log file, as in a Hydra job; else they are dropped.
    """
    from transformers.utils import logging as transformers_logging

    logging.captureWarnings(capture=True)
    transformers_logging.disable_default_handler()
    transformers_logging.disable_progress_bar()
    if not log_file:
        for name in (*CHATTY, "transformers"):
            logging.getLogger(name).setLevel(logging.ERROR)
