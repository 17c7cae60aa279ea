"""Whether the values of a node fit the signature of what they are given to."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping
from inspect import Parameter
from typing import Any

from llm_lab.config.fault import Fault
from llm_lab.config.nearest import did_you_mean
from llm_lab.config.signature import signature_of
from llm_lab.config.targets import Target, name_of

PLAIN = (str, int, float, Mapping, list, tuple, type(None))  # what YAML can hold
_BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


def accepted(target: Target, injected: Mapping[str, Any]) -> dict[str, Any]:
    """Return those injected values for which the target has a parameter of that name."""
    named = _named(target)
    return {name: value for name, value in injected.items() if name in named}


def misfits(
    target: Target, arguments: Mapping[str, Any], injected: Collection[str], *, key: str
) -> list[Fault]:
    """Return one fault per argument that a target does not take, must not be given, or lacks, or of a wrong type.

    Args:
        target: what is to be built.
        arguments: by name; `MISSING` stands for a value that nothing is to be said about.
        injected: names that the program gives.
        key: where the arguments stand in the config.
    """
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
    return [*faults, *_mistyped(target, arguments, named, key)]


def _mistyped(
    target: Target, arguments: Mapping[str, Any], named: Collection[str], key: str
) -> Iterator[Fault]:
    """Plain values that are not of the type that their parameter has in the source; objects are taken as they are."""
    signature = signature_of(name_of(target))
    for name, parameter in signature.parameters.items() if signature else ():
        if name in named and name in arguments and isinstance(value := arguments[name], PLAIN):
            for place, message in parameter.type.faults(value, f"{key}.{name}"):
                yield Fault(key=place, message=message, suggestion=parameter.type.proposal(value))


def _named(target: Target) -> dict[str, Parameter]:
    parameters = inspect.signature(target).parameters
    return {name: parameter for name, parameter in parameters.items() if parameter.kind in _BY_NAME}


def _takes_any(target: Target) -> bool:
    kinds = [parameter.kind for parameter in inspect.signature(target).parameters.values()]
    return Parameter.VAR_KEYWORD in kinds
