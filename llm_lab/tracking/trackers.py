"""All trackers of a run at once: what each gets at the start and at the end, and how each is closed."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


def describe(loggers: Sequence[Any], *, config: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
    """Give the masked config and the manifest to every tracker; this opens them.

    Args:
        loggers: Lightning loggers.
        config: the resolved config as plain containers, environment values masked.
        manifest: see `llm_lab.tracking.evidence.manifest`.
    """
    for logger in loggers:
        logger.log_hyperparams({**config, "manifest": dict(manifest)})


def publish(loggers: Sequence[Any], *, metrics: Mapping[str, Any], report: Path) -> None:
    """Give the final figures and the report's page to the trackers that keep such things."""
    for logger in loggers:
        if hasattr(logger, "publish"):
            logger.publish(metrics, report)


def locations(loggers: Sequence[Any]) -> dict[str, str]:
    """Where each tracker's run can be seen: an address or a folder."""
    found = {type(logger).__name__: getattr(logger, "location", None) or logger.log_dir for logger in loggers}
    return {name.removesuffix("Logger").lower(): str(place) for name, place in found.items() if place}


def close_all(loggers: Sequence[Any], exit_code: int) -> None:
    """Close every tracker with the run's true exit code; one that fails to close does not hide the others.

    Args:
        loggers: Lightning loggers, opened or not.
        exit_code: 0 for a finished run, 130 for an interrupted one, else a failed one.
    """
    status = {0: "success", 130: "interrupted"}.get(exit_code, "failed")
    for logger in loggers:
        try:
            logger.finalize(status)
            if hasattr(logger, "close"):
                logger.close(exit_code)
        except Exception as error:  # noqa: BLE001 - a tracker's trouble must not change how the run ended
            log.warning("%s could not be closed: %s", type(logger).__name__, error)
