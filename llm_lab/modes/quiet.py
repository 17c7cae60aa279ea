"""Keep the terminal for what concerns the user: libraries talk to the log file, or not at all."""

from __future__ import annotations

import logging

CHATTY = ("pytorch_lightning", "lightning.pytorch", "lightning_fabric", "py.warnings")


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
