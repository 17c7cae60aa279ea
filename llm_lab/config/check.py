"""The light check: every key, type, interpolation, missing value and cross-field rule, all faults at once."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from llm_lab.config import (
    origins,
    rules,
    rules_graph,  # noqa: F401 - registers its rule
    rules_injection,  # noqa: F401 - registers its rules
    rules_multimodal,  # noqa: F401 - registers its rules
    rules_peft,  # noqa: F401 - registers its rules
    rules_problem,  # noqa: F401 - registers its rules
    rules_sharded,  # noqa: F401 - registers its rules
    rules_strategy,  # noqa: F401 - registers its rules
)
from llm_lab.config.compose import Composed
from llm_lab.config.fault import Fault, FaultsError, Origin, short_path
from llm_lab.config.file_uri import is_relative, path_of
from llm_lab.config.parts import WORDS, parts_of
from llm_lab.config.resolve import plain, written
from llm_lab.config.run_uris import run_faults
from llm_lab.config.schema import CONTROL, GROUPS, ORDER, injected_at, signature_at
from llm_lab.config.signature import Signature
from llm_lab.config.types import MISSING, Type
from llm_lab.config.unknown import propose

_UNKNOWN = {  # keys that a group of ours may set, whatever is chosen beside it
    "data.transforms": "these data take no row transforms, and so no `knowledge/injection=` either"
}
_SAYS = ("_target_", *WORDS)  # what a node says by what is built of it
_CONTROL_NAME = re.compile(r"_\w+_$")  # `_partial_`, `_args_` and the like say how, not what to build


def check(composed: Composed) -> Composed:
    """The same config, if nothing is wrong with it; raises FaultsError, which tells all faults at once."""
    faults = faults_of(composed)
    if faults:
        raise FaultsError(faults=faults)
    return composed


def faults_of(composed: Composed) -> list[Fault]:
    """All faults of a composed config, those of its composition first; each says where it was written."""
    if not composed.config:
        return list(dict.fromkeys([*composed.faults, *_guarded(composed)]))
    found: list[Fault] = []
    values = plain(composed.config, found)
    fitted = list(_root(values, composed))
    told = {fault.key for fault in [*found, *fitted]}
    known = told | {fault.key for fault in composed.faults}  # only a proposal stands there
    fitted += [fault for fault in rules.apply(values) if fault.key not in known]
    told |= {fault.key for fault in fitted}
    found += [fault for fault in fitted if not _follows(fault, composed, told)]
    found += _files(values, composed)
    found += run_faults(_leaves(values, ""))
    found = [_placed(fault, composed) for fault in found]
    return list(dict.fromkeys([*composed.faults, *found, *_guarded(composed)]))


def _guarded(composed: Composed) -> list[Fault]:
    from llm_lab.config.guard import hydra_faults

    return list(hydra_faults(composed.config, composed.origins))


def _follows(fault: Fault, composed: Composed, keys: set[str]) -> bool:
    """Whether the value only repeats another by interpolation, whose own fault is told already."""
    holder, _, name = fault.key.rpartition(".")
    try:
        node = OmegaConf.select(composed.config, holder) if holder else composed.config
    except OmegaConfBaseException:
        return False
    if (
        not isinstance(node, DictConfig)
        or name not in list(node)
        or not OmegaConf.is_interpolation(node, name)
    ):
        return False
    text = str(written(node, name))
    return text.startswith("${") and text[2:-1] in keys


def _placed(fault: Fault, composed: Composed) -> Fault:
    """The fault with the place where its key, or the node that lacks it, was written."""
    if fault.where:
        return fault
    if word := _choosing(fault.key.replace(".", "/"), composed):
        return dataclasses.replace(fault, where=word)
    origin = composed.origins.get(fault.key, origins.HYDRA)
    if origin is origins.HYDRA:
        origin = _nearby(fault.key, composed)
    return fault if origin is origins.HYDRA else dataclasses.replace(fault, where=str(origin))


def _nearby(key: str, composed: Composed) -> Origin:
    """The origin of what stands below a key that nobody wrote, else of what the nearest node above says it is."""
    inside = [name for name in composed.origins if key and name.startswith(f"{key}.")]
    parts = key.split(".")
    heads = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    names = [*inside, *(f"{head}.{name}" for head in heads for name in _SAYS)]
    found = next((name for name in names if name in composed.origins), key)
    return origins.find(composed.origins, found)


def _choosing(group: str, composed: Composed) -> str:
    """The word that chose in a group, whoever set single values of it; empty where none did."""
    return next(
        (word for word in reversed(composed.overrides) if word.lstrip("+").startswith(f"{group}=")), ""
    )


def _root(values: dict[str, Any], composed: Composed) -> Iterator[Fault]:
    yield from _mapping(values, "", composed)
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _group(value, key, composed)


def _group(value: dict[str, Any], key: str, composed: Composed) -> Iterator[Fault]:
    group = GROUPS.get(key)
    if group is not None and group.plain and not group.mapping:
        yield from _mapping(value, key, composed)
        return
    if group is not None and group.mapping:
        for name, node in value.items():
            if node is not None and node is not MISSING and not isinstance(node, dict):
                kind = "mappings" if group.plain else "nodes with a `_target_`"
                yield Fault(key=f"{key}.{name}", message=f"`{key}` holds {kind}, by name, or null")
            elif group.plain and isinstance(node, dict):
                yield from _mapping(node, f"{key}.{name}", composed)
    elif group is not None and group.base and value and "_target_" not in value:
        yield Fault(key=key, message="nothing says what to build: `_target_` is missing")
    yield from _nodes(value, key, composed)


def _nodes(value: Any, key: str, composed: Composed) -> Iterator[Fault]:
    """Check every mapping with a `_target_`, at any depth."""
    if isinstance(value, dict):
        if "_target_" in value:
            yield from _mapping(value, key, composed)
        for name, item in value.items():
            yield from _nodes(item, f"{key}.{name}", composed)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nodes(item, f"{key}.{index}", composed)


def _mapping(value: Mapping[str, Any], key: str, composed: Composed) -> Iterator[Fault]:
    """One mapping against the signature that rules it: unknown keys, wrong types, what is missing."""
    target = value.get("_target_", "")
    if not isinstance(target, str):
        return  # the guard says what a target must be
    signature = signature_at(value, key)
    if signature is None:
        return
    for name, item in value.items():
        if name not in CONTROL and not (_CONTROL_NAME.match(name) and target):  # the guard judges these
            yield from _value(name, item, key, signature, composed)
    for name, parameter in signature.parameters.items():
        if parameter.required and name not in value and name not in injected_at(key):
            inner = f"{key}.{name}" if key else name
            needed_by = f", which {target} requires" if target else ""
            yield Fault(key=inner, message=f"missing value{needed_by}", suggestion=f"set it: `+{inner}=...`")
    for inner, part in parts_of(target, value, key):
        yield from [part] if isinstance(part, Fault) else _mapping(part, inner, composed)


def _value(name: str, item: Any, key: str, signature: Signature, composed: Composed) -> Iterator[Fault]:
    """One value of the mapping at `key` against its parameter."""
    inner = f"{key}.{name}" if key else name
    if name == "order" and "." in key and name not in signature.parameters:
        yield from _typed(ORDER, item, inner)
    elif name in injected_at(key):
        yield Fault(key=inner, message=f"`{name}` is given by the run itself, so a config cannot set it")
    elif name in signature.parameters:
        yield from _typed(signature.parameters[name].type, item, inner)
    elif not signature.open:
        why = _UNKNOWN.get(inner)
        legal = [other for other in signature.parameters if other not in injected_at(key)]
        near = "" if why else propose(composed.config, inner, beside=legal)
        yield Fault(key=inner, message=why or "unknown key", suggestion=near)


def _typed(kind: Type, value: Any, key: str) -> Iterator[Fault]:
    for place, message in kind.faults(value, key):
        yield Fault(key=place, message=message, suggestion=kind.proposal(value))


def _files(values: dict[str, Any], composed: Composed) -> Iterator[Fault]:
    """Relative `file://` values that were found neither beside the file that names them nor in its pack."""
    for key, value in _leaves(values, ""):
        if is_relative(value):
            origin = origins.find(composed.origins, key)
            folders = [origin.file.parent, origin.folder] if origin.file and origin.folder else [Path.cwd()]
            tried = " nor ".join(dict.fromkeys(short_path(folder / path_of(value)) for folder in folders))
            yield Fault(
                key=key, message=f"there is no such file: {'neither ' if ' nor ' in tried else ''}{tried}"
            )


def _leaves(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    pairs = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    )
    if pairs is None:
        yield key, value
    else:
        for name, item in pairs:
            yield from _leaves(item, f"{key}.{name}" if key else str(name))
