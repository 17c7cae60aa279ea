"""The deep stage of the check: import what a config names and fit its values, before any data is fetched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from llm_lab.config.allowed import TARGET, TargetError
from llm_lab.config.arguments import misfits
from llm_lab.config.fault import Fault, Origin
from llm_lab.config.guard import HYDRA, place
from llm_lab.config.hardware import supports_bf16
from llm_lab.config.schema import GROUPS, injected_at
from llm_lab.config.targets import resolve
from llm_lab.config.types import MISSING
from llm_lab.config.walk import Item, Walk

ORDER = "order"
# What nodes inside a group's node are built as, by key; `*` stands for any name.
INNER = {
    "data.tokenizer": "llm_lab.data.tokenizers.TokenizerSource",
    "model.tokenizer": "llm_lab.data.tokenizers.TokenizerSource",
    **{f"model.{kind}": "llm_lab.models.tower.Tower" for kind in ("text", "image", "audio", "towers.*")},
    "model.text.tokenizer": "llm_lab.data.tokenizers.TokenizerSource",
    "model.fusion": "llm_lab.models.fusion.fusion.Fusion",
    "model.language": "transformers.PreTrainedModel",
    "model.language.tokenizer": "llm_lab.data.tokenizers.TokenizerSource",
    "data.transforms.*": "llm_lab.data.transforms.Transform",
    "model.wrappers.*": "llm_lab.models.wrapper.Wrapper",
    "task.metrics.*": "torchmetrics.Metric",
}


def deep_faults(config: DictConfig, origins: Mapping[str, Origin]) -> list[Fault]:
    """Return every fault of a composed config that shows only when its targets are imported.

    These are targets that do not exist, are not allowed or are of another kind than their group, arguments
    that do not fit a signature, and a precision that the hardware lacks. Imports torch and Lightning.
    """
    faults = [*_precision(config)]
    for item in Walk(names=(TARGET,), skip=HYDRA).items(config):
        if item.name == TARGET and isinstance(item.value, str):
            faults += _node(item)
    return list(dict.fromkeys(replace(fault, where=place(origins, fault.key)) for fault in faults))


def base_of(key: str) -> tuple[type, ...]:
    """Return what the node at a key must be a kind of; any object where nothing is said about it."""
    head, _, inner = key.partition(".")
    group = GROUPS.get(head)
    name = INNER.get(key) or INNER.get(f"{key.rpartition('.')[0]}.*") or ""
    if group is not None and (not inner or (group.mapping and "." not in inner)):
        name = group.base
    return (_import(name),) if name else (object,)


@cache
def _import(name: str) -> type:
    module, _, attribute = name.rpartition(".")
    return cast("type", getattr(import_module(module), attribute))


def _node(item: Item) -> Iterator[Fault]:
    """Judge one mapping with a `_target_`."""
    key = item.key.removesuffix(TARGET).removesuffix(".")
    try:
        target = resolve(item.value, base_of(key))
    except TargetError as error:
        yield Fault(key=item.key, message=error.message, suggestion=error.suggestion)
        return
    control = (TARGET, ORDER) if "." in key else (TARGET,)
    names = [str(name) for name in cast("DictConfig", item.holder) if name not in control]
    yield from misfits(
        target, dict.fromkeys(names, MISSING), injected_at(key), key=key
    )  # types: the light check


def _precision(config: DictConfig) -> Iterator[Fault]:
    trainer: Any = OmegaConf.select(config, "trainer")
    precision = str(OmegaConf.select(config, "trainer.precision", default=""))
    if not isinstance(trainer, DictConfig) or "bf16" not in precision:
        return
    if not supports_bf16(str(OmegaConf.select(config, "trainer.accelerator", default="auto"))):
        yield Fault(
            key="trainer.precision",
            message=f"{precision} needs hardware that computes in bfloat16 (AVX512-BF16, AMX, a recent GPU)",
            suggestion="write `auto` or `32-true`",
        )
