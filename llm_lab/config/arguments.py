"""Whether the values of a node fit the signature of what they are given to."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from inspect import Parameter
from typing import Any

from llm_lab.config.fault import Fault
from llm_lab.config.nearest import did_you_mean
from llm_lab.config.targets import Target, name_of

_BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


def accepted(target: Target, injected: Mapping[str, Any]) -> dict[str, Any]:
    """Return those injected values for which the target has a parameter of that name."""
    named = _named(target)
    return {name: value for name, value in injected.items() if name in named}


def misfits(
    target: Target, arguments: Collection[str], injected: Collection[str], *, key: str
) -> list[Fault]:
    """Return one fault per argument that a target does not take, must not be given, or lacks."""
    named, free = _named(target), _takes_any(target)
    settable = [name for name in named if name not in injected]
    faults = []
    for name in arguments:
        if name in named and name in injected:
            faults.append(
                Fault(key=f"{key}.{name}", message="is given by the program and cannot be set here")
            )
        elif name not in named and not free:
            message = f"{name_of(target)} has no argument `{name}`"
            faults.append(
                Fault(key=f"{key}.{name}", message=message, suggestion=did_you_mean(name, settable))
            )
    for name, parameter in named.items():
        if parameter.default is Parameter.empty and name not in arguments and name not in injected:
            faults.append(Fault(key=f"{key}.{name}", message=f"{name_of(target)} needs a value for it"))
    return faults


def _named(target: Target) -> dict[str, Parameter]:
    parameters = inspect.signature(target).parameters
    return {name: parameter for name, parameter in parameters.items() if parameter.kind in _BY_NAME}


def _takes_any(target: Target) -> bool:
    kinds = [parameter.kind for parameter in inspect.signature(target).parameters.values()]
    return Parameter.VAR_KEYWORD in kinds
