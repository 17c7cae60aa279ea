"""What a run is called after: the hash of what it computes, not of where and on what it runs."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from llm_lab.config.search_path import layers

DIGITS = 12
NOT_CONTENT = ("paths", "logger", "expected", "ledger", "launch", "sweep", "pipeline")
MACHINE = {
    "trainer": ("devices", "num_nodes", "accelerator", "enable_progress_bar", "enable_model_summary"),
    "callbacks": ("progress", "interrupt", "maps"),
}
# What these resolve to belongs to the machine or the moment, so their text stands in the hash.
_VOLATILE = re.compile(r"\$\{(oc\.env|paths\.|hydra[.:]|now:|run_hash:|sweep_hash:|run_start:|env:)")


def run_hash(config: DictConfig) -> str:
    """Twelve hex digits of the sha256 of the resolved config's content, as canonical JSON.

    Left out are Hydra's node, paths, loggers, the expected figure and the machine. Values from the
    environment count by their text, `file://` paths relative to the pack or folder that holds them.
    """
    return digest(content(config))


def content(config: DictConfig) -> dict[str, Any]:
    """The part of a config that decides what a run computes, as plain resolved containers."""
    raw: Any = OmegaConf.to_container(config, resolve=False, throw_on_missing=False)
    raw.pop("hydra", None)
    if "name" in raw:
        raw["name"] = config.name  # it may come from the chosen experiment, which Hydra's node knows
    plain: Any = OmegaConf.to_container(OmegaConf.create(_freeze(raw)), resolve=True, throw_on_missing=False)
    plain = {key: value for key, value in plain.items() if key not in NOT_CONTENT}
    for group, names in MACHINE.items():
        node = plain.get(group)
        if isinstance(node, dict):
            plain[group] = {key: value for key, value in node.items() if key not in names}
    portable = _without_nulls(_portable(plain, _roots()))
    return {str(key): value for key, value in portable.items()}


def _without_nulls(value: Any) -> Any:
    """Null is what is not there: `peft=null` computes what no word about it does."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value


def changes(words: Iterable[str]) -> list[str]:
    """The words that make a run another one than its experiment as it stands, whatever the seed."""
    apart = [f"{group}.{name}" for group, names in MACHINE.items() for name in names]
    same = {"experiment", "seed", "hydra", "mode", "strategy", "baseline", *NOT_CONTENT, *apart}
    return [word for word in words if not _starts(word.partition("=")[0].lstrip("+~"), same)]


def _starts(key: str, same: Iterable[str]) -> bool:
    return any(key == one or key.startswith((f"{one}.", f"{one}/", f"{one}@")) for one in same)


def digest(value: object) -> str:
    """Twelve hex digits of the sha256 of a plain value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def sweep_hash(words: Iterable[str]) -> str:
    """The hash of a sweep's words, in whatever order they were typed."""
    return digest(sorted(words))


def run_hash_of(words: Sequence[str]) -> str:
    """The hash of the run that these words compose; raises FaultsError where they do not."""
    from llm_lab.config.compose import compose
    from llm_lab.config.fault import FaultsError

    composed = compose(words)
    if composed.faults:
        raise FaultsError(faults=composed.faults)
    return run_hash(composed.config)


def _freeze(value: Any) -> Any:
    """Escape the interpolations that would resolve to something of this machine or this moment."""
    if isinstance(value, dict):
        return {key: _freeze(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_freeze(item) for item in value]
    if isinstance(value, str) and _VOLATILE.search(value):
        return value.replace("${", r"\${")
    return value


def _portable(value: Any, roots: Sequence[str]) -> Any:
    """Make absolute `file://` paths relative to the first root that holds them."""
    if isinstance(value, dict):
        return {key: _portable(item, roots) for key, item in value.items()}
    if isinstance(value, list):
        return [_portable(item, roots) for item in value]
    if isinstance(value, str) and value.startswith("file:///"):
        for root in roots:
            if value.startswith(f"file://{root}/"):
                return "file://" + value.removeprefix(f"file://{root}/")
    return value


def _roots() -> list[str]:
    folders = [str(layer.folder) for layer in layers()] + [os.path.realpath(Path.cwd())]
    return sorted(folders, key=len, reverse=True)
