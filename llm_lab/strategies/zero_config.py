"""DeepSpeed's configuration from ours, and from a user's own file."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from llm_lab.errors import ConfigError

log = logging.getLogger(__name__)

BUCKET = 10_000_000  # elements that are reduced or gathered together; a buffer of so many is held
OURS = {
    "optimizer": "optimizer",
    "scheduler": "scheduler",
    "train_batch_size": "data.batch_size",
    "train_micro_batch_size_per_gpu": "data.batch_size",
    "gradient_accumulation_steps": "trainer.accumulate_grad_batches",
    "gradient_clipping": "trainer.gradient_clip_val",
    "fp16": "trainer.precision",
    "bf16": "trainer.precision",
}


def settings(
    *,
    stage: int,
    offload_optimizer: bool,
    offload_parameters: bool,
    cpu_adam: bool,
    own: str | Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The configuration that DeepSpeed gets; of the user's own, whatever we do not decide has the last word.

    Raises:
        ConfigError: no such file, or no JSON object in it.
    """
    zero: dict[str, Any] = {"stage": stage, "reduce_bucket_size": BUCKET, "allgather_bucket_size": BUCKET}
    if offload_optimizer:
        zero["offload_optimizer"] = {"device": "cpu"}
    if offload_parameters:
        zero["offload_param"] = {"device": "cpu"}
    ours = {
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": cpu_adam,
    }
    theirs = {} if own is None else _without_ours(_read(own))
    merged = OmegaConf.merge(OmegaConf.create(ours), OmegaConf.create(theirs))
    return dict(OmegaConf.to_container(merged))  # type: ignore[arg-type]


def _read(own: str | Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(own, str):
        return dict(OmegaConf.to_container(own) if OmegaConf.is_config(own) else own)  # type: ignore[arg-type]
    path = Path(own).expanduser()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"strategy.config: {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"strategy.config: {path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"strategy.config: {path} holds no JSON object")
    return content


def _without_ours(theirs: dict[str, Any]) -> dict[str, Any]:
    for name, key in OURS.items():
        if theirs.get(name, "auto") != "auto":
            log.warning("strategy.config: %s is left out, %s decides it here", name, key)
    return {name: _chosen(value) for name, value in theirs.items() if name not in OURS and value != "auto"}


def _chosen(value: Any) -> Any:
    """Without the values that are left to transformers' Trainer."""
    if not isinstance(value, Mapping):
        return value
    return {name: _chosen(one) for name, one in value.items() if one != "auto"}
