"""Plain mappings that a dataclass describes, checked where no composed config is at hand."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from llm_lab.config.nearest import did_you_mean
from llm_lab.config.signature import signature_of
from llm_lab.config.types import shown
from llm_lab.errors import ConfigError


def check_described(value: Any, by: str, key: str, *, without: Collection[str] = ()) -> None:
    """Hold a value against the fields of a dataclass.

    Args:
        value: a mapping, if all is well.
        by: the dotted name of the dataclass.
        key: of the value, for messages.
        without: fields that our own code sets.

    Raises:
        ConfigError: it is no mapping, or has an unknown key or a value of a wrong type.
    """
    if not isinstance(value, Mapping):
        raise ConfigError(f"{key}: must be a mapping, not {shown(value)}")
    signature = signature_of(by)
    known = {} if signature is None else signature.parameters
    names = known.keys() - set(without)
    for name, item in value.items():
        if name not in names:
            raise ConfigError(f"{key}.{name}: unknown key; {did_you_mean(str(name), names)}")
        for place, message in known[name].type.faults(item, f"{key}.{name}"):
            raise ConfigError(f"{place}: {message}")
