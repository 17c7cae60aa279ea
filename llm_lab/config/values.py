"""Words that set: `optimizer.lr=1e-3`, `+key=v`, `++key=v`, `~key`, as Hydra would, faults collected."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import Container, DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from llm_lab.config import origins as origin
from llm_lab.config.fault import Fault
from llm_lab.config.file_uri import absolute, is_relative
from llm_lab.config.loader import RecordingLoader
from llm_lab.config.search_path import configs

if TYPE_CHECKING:
    from llm_lab.config.compose import Composed


def set_value(loader: RecordingLoader, override: Override, composed: Composed) -> str:
    """Set the value in the config; the word as Hydra must get it to do the same. Faults go to `composed`."""
    typed = str(override.input_line)
    return _set(loader, _absolute(override), composed, typed)


def _set(loader: RecordingLoader, override: Override, composed: Composed, typed: str) -> str:
    word = str(override.input_line)
    if override.package is not None or "/" in override.key_or_group:
        composed.faults.append(_no_group(loader, override))
        return word
    empty = _null_above(composed.config, override.key_or_group)
    try:
        loader.apply(override, composed.config)
    except (HydraException, OmegaConfBaseException) as error:
        if empty:
            OmegaConf.update(composed.config, empty, None, merge=False)
        if _is_unknown(error) and _is_legal(composed, override.key_or_group):
            return _set(loader, OverridesParser.create().parse_override(f"++{word}"), composed, typed)
        composed.faults.append(_refused(loader, override, composed, error))
        return word
    origin.note_word(composed.origins, override, typed)
    return word


def _null_above(config: DictConfig, key: str) -> str:
    """The first part of the key that is null: setting below it makes it a mapping, even if refused."""
    parts = key.split(".")
    for length in range(1, len(parts)):
        head = ".".join(parts[:length])
        if OmegaConf.select(config, head, throw_on_missing=False, throw_on_resolution_failure=False) is None:
            return head if parts[length - 1] in _parent(config, parts[: length - 1]) else ""
    return ""


def _parent(config: DictConfig, parts: list[str]) -> Container:
    node = OmegaConf.select(config, ".".join(parts)) if parts else config
    return node if isinstance(node, DictConfig) else OmegaConf.create({})


def _absolute(override: Override) -> Override:
    """A relative `file://` in a word is meant from the working directory."""
    value, here = override.value(), (Path(os.path.realpath(Path.cwd())),)
    word = str(override.input_line)
    if is_relative(value):
        quoted = absolute(str(value), here).replace("'", r"\'")
        word = f"{override.get_key_element()}='{quoted}'"
    else:
        for text in _relative(value):
            word = word.replace(text, absolute(text, here))
    return override if word == override.input_line else OverridesParser.create().parse_override(word)


def _relative(value: object) -> Iterator[str]:
    """Every relative `file://` in a value, at any depth."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _relative(item)
    elif is_relative(value):
        yield str(value)


def _is_unknown(error: Exception) -> bool:
    return isinstance(error.__cause__, ConfigAttributeError | ConfigKeyError)


def _is_legal(composed: Composed, key: str) -> bool:
    from llm_lab.config.schema import is_legal

    return is_legal(composed.config, key)


def _no_group(loader: RecordingLoader, override: Override) -> Fault:
    from llm_lab.config.unknown import propose_group

    key = override.key_or_group
    names = {name.rpartition("/")[0] for source in loader.sources for name in configs(Path(source.path))}
    near = propose_group(key, override.get_value_string(), names - {""})
    return Fault(
        key=key, message=f"there is no group `{key}`", where=str(override.input_line), suggestion=near
    )


def _refused(loader: RecordingLoader, override: Override, composed: Composed, error: Exception) -> Fault:
    key, word = override.key_or_group, str(override.input_line)
    if _is_unknown(error):
        return Fault(
            key=key, message="unknown key", where=word, suggestion=_proposal(loader, override, composed)
        )
    if override.is_delete():
        message = (
            "there is no such value to delete"
            if OmegaConf.select(composed.config, key) is None
            else _first(error)
        )
        return Fault(key=key, message=message, where=word)
    if override.is_add() and "Could not append" in str(error):
        return Fault(key=key, message="is set already", where=word, suggestion=f"did you mean `{word[1:]}`?")
    return Fault(key=key, message=_first(error.__cause__ or error), where=word)


def _proposal(loader: RecordingLoader, override: Override, composed: Composed) -> str:
    from llm_lab.config.unknown import propose, propose_group

    key = override.key_or_group
    if "." not in key and isinstance(override.value(), str):
        groups = [group for group in loader.list_groups("") if group != "hydra"]
        value = override.get_value_string()
        holding = [group for group in groups if loader.repository.config_exists(f"{group}/{value}")]
        if near := propose_group(key, value, holding) or propose_group(key, value, groups):
            return near
    return propose(composed.config, key)


def _first(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
