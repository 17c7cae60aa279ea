"""Weights & Biases: online where there is an API key, else offline; no question, no hang, true exit codes."""

from __future__ import annotations

import json
import logging
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning.loggers.wandb import WandbLogger as LightningWandbLogger

from llm_lab.errors import ConfigError
from llm_lab.tracking.files import plain, write_json

log = logging.getLogger(__name__)
OFFLINE = "offline"
MODES = ("online", "offline", "disabled", "shared", "dryrun", "run")  # the last two are old names
NEWER_SETTINGS = {
    "x_transaction_log_flush_interval": 2.0,  # a killed run keeps all but its last two seconds
    "finish_timeout_raises": True,  # so that an upload that was given up can be told
}


class WandbLogger(LightningWandbLogger):
    """Lightning's logger that never asks, never waits long, and says how the run ended.

    ``WANDB_MODE`` has the last word, except that ``online`` without a key is offline too. A server that does
    not answer makes one warning and an offline run, which ``wandb sync FOLDER`` uploads later. The run's id
    is kept in the run directory, so a resumed run goes on in the same place.

    Args:
        save_dir: the run directory; everything is written to ``wandb/`` in it.
        project: the project's name on the server.
        name: the run's name on the server.
        group: what the run belongs to; None takes the name of the sweep, where there is one.
        tags: words to find the run by.
        notes: a longer description.
        entity: user or team; None is the key's default.
        init_timeout: seconds to wait for the server at the start.
        finish_timeout: seconds to wait for the upload at the end.
    """

    def __init__(
        self,
        *,
        save_dir: str,
        project: str = "llm_lab",
        name: str | None = None,
        group: str | None = None,
        tags: Sequence[str] = (),
        notes: str | None = None,
        entity: str | None = None,
        init_timeout: float = 10.0,
        finish_timeout: float = 20.0,
    ) -> None:
        self._note = Path(save_dir) / "wandb" / "run.json"
        self._timeouts = {"init_timeout": init_timeout, "finish_timeout": finish_timeout}
        self._closed = False
        super().__init__(
            save_dir=save_dir,
            project=project,
            name=name,
            id=_stored_id(self._note) or secrets.token_hex(4),
            group=group or sweep_group(Path(save_dir)),
            tags=list(tags),
            notes=notes,
            entity=entity,
        )

    @property
    def experiment(self) -> Any:
        """The open `wandb.Run`; opened at first use, on rank 0 only."""
        if self._experiment is None and getattr(rank_zero_only, "rank", 0) == 0:
            self._open()
        return super().experiment

    def _open(self) -> None:
        import wandb

        self._note.parent.mkdir(parents=True, exist_ok=True)
        mode = chosen_mode()
        try:
            self._start(mode)
        except (wandb.Error, OSError) as error:
            if mode == OFFLINE:
                raise
            first = str(error).strip().splitlines()[0]
            log.warning("Weights & Biases cannot be reached, going on offline: %s", first)
            wandb.teardown()  # else its service holds on to the run's id
            self._start(OFFLINE)
        write_json(self._note, {"id": self._id, "project": self._project})

    def _start(self, mode: str) -> None:
        import wandb

        settings = wandb.Settings(silent=True, console="off", **self._timeouts)
        for name, value in NEWER_SETTINGS.items():
            if name in wandb.Settings.model_fields:
                setattr(settings, name, value)
        self._wandb_init |= {"mode": mode, "settings": settings}
        self._wandb_init.pop("anonymous", None)  # Lightning passes it, wandb warns that it does nothing
        _ = super().experiment

    @property
    def location(self) -> str:
        """Where the run can be seen: its address, or the folder that ``wandb sync`` takes; empty before."""
        run = self._experiment
        if run is None or run.disabled:
            return ""
        return str(run.settings.sync_dir if run.offline else run.url)

    @rank_zero_only
    def publish(self, metrics: Mapping[str, Any], report: Path) -> None:
        """Put the final figures into the run's summary and the report's page beside them."""
        import wandb

        self.experiment.summary.update(plain(metrics))
        if report.is_file():
            self.experiment.log({"report": wandb.Html(report.read_text(encoding="utf-8"), inject=False)})

    @rank_zero_only
    def close(self, exit_code: int) -> None:
        """Finish the run with its true exit code; anything but 0 is marked as failed."""
        if self._experiment is None or self._closed:
            return
        import wandb

        self._closed = True
        try:
            self._experiment.finish(exit_code=exit_code)
        except TimeoutError:
            folder = self._experiment.settings.sync_dir
            log.warning("Weights & Biases did not take all of the run in time; later: wandb sync %s", folder)
            return
        if wandb.run is None:  # end the service too: only then is the file sure to be whole
            wandb.teardown()


def chosen_mode() -> str:
    """Return ``WANDB_MODE`` where it can be followed, else online where there is an API key, else offline.

    Raises:
        ConfigError: the variable holds something else than a mode.
    """
    asked = os.environ.get("WANDB_MODE", "")
    if not asked:
        os.environ.pop("WANDB_MODE", None)  # wandb refuses an empty one
    elif asked not in MODES:
        raise ConfigError(f"WANDB_MODE: {asked} is none of {', '.join(MODES)}")
    if asked not in ("", "online", "run"):
        return OFFLINE if asked == "dryrun" else asked
    if has_key():
        return "online"
    if asked:
        log.warning("WANDB_MODE is %s but there is no API key; going on offline", asked)
    return OFFLINE


def has_key() -> bool:
    """Whether wandb would find credentials without asking: its variables, its settings, or a netrc file."""
    import wandb
    from wandb.sdk.lib.wbauth import read_netrc_auth  # it knows under which names a server goes

    settings = wandb.setup(wandb.Settings(silent=True)).settings
    try:
        return bool(
            settings.api_key or settings.identity_token_file or read_netrc_auth(host=settings.base_url)
        )
    except wandb.Error as error:
        log.warning("the API key of Weights & Biases cannot be used: %s", str(error).splitlines()[0])
        return False


def sweep_group(run: Path) -> str | None:
    """Return the name of the sweep's folder where this run is one job of a sweep, in whatever process."""
    from llm_lab.sweeps.record import sweep_of

    found = sweep_of(run)
    return found[0].name if found else None


def _stored_id(note: Path) -> str | None:
    try:
        return str(json.loads(note.read_text(encoding="utf-8"))["id"])
    except (OSError, ValueError, KeyError):
        return None
