"""From the name in a `_target_` to the object, which must be what and where its name says."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any

from llm_lab.config.allowed import LIBRARIES, ROOMS, TargetError, admitted, check_name, proposal, within
from llm_lab.config.nearest import nearest

Target = Callable[..., Any]


def resolve(target: object, expected: tuple[type, ...]) -> Target:
    """Return the class or function that a target names.

    Functions are of our packages and of those the user admits, from libraries come only classes; a class must
    be a kind of `expected`, and so must what a function says it returns.

    Raises:
        TargetError: the name is not allowed, does not exist, or names something else than its own text says.
    """
    name = check_name(target)
    found = _locate(name, expected)
    if inspect.isclass(found):
        _check_identity(name, found)
        _check_kind(name, (found,), expected)
    elif inspect.isfunction(found) and "." not in found.__qualname__ and not within(name, LIBRARIES):
        _check_identity(name, found)
        _check_kind(name, _returns(found), expected)
    else:
        raise TargetError(f"{name} is not allowed (a {type(found).__name__} is not built from config)")
    return typing.cast("Target", found)


def name_of(target: Target) -> str:
    """Return the dotted name of a class or function, of the place where it is defined."""
    return f"{target.__module__}.{target.__qualname__}"


def _locate(name: str, expected: tuple[type, ...]) -> Any:
    """Import the longest module in a name, then go down through classes; modules are never gone through."""
    module, rest = _module(name)
    found: Any = module
    for number, part in enumerate(rest):
        if number and not inspect.isclass(found):
            raise TargetError(f"{name} is not allowed (`{rest[number - 1]}` is not a class)")
        try:
            found = getattr(found, part)
        except AttributeError:
            head = name.removesuffix("." + ".".join(rest[number:]))
            near = nearest(part, _classes(found, expected)) if within(name, LIBRARIES) else None
            hint = f"did you mean `{head}.{near}`?" if near else proposal(name)
            raise TargetError(f"{name} does not exist ({head} has no `{part}`)", hint) from None
    return found


def _classes(holder: Any, expected: tuple[type, ...]) -> list[str]:
    """Return the names of the public classes of a kind that a module holds."""
    public = {name: value for name, value in vars(holder).items() if not name.startswith("_")}
    return [name for name, value in public.items() if inspect.isclass(value) and issubclass(value, expected)]


def _module(name: str) -> tuple[types.ModuleType, list[str]]:
    """Import front to back, each step only where a file of that name stands inside the package before."""
    parts = name.split(".")
    try:
        module = importlib.import_module(parts[0])
        for number in range(1, len(parts) - 1):
            inner = ".".join(parts[: number + 1])
            if not hasattr(module, "__path__") or importlib.util.find_spec(inner) is None:
                return module, parts[number:]
            module = importlib.import_module(inner)
    except Exception as error:  # importing runs a module, which may fail in any way
        raise TargetError(f"{name} cannot be imported ({error})", proposal(name)) from error
    return module, parts[-1:]


def _check_identity(name: str, found: Any) -> None:
    """Compare where an object is defined with what its name says, so that no alias leads elsewhere."""
    home = name_of(found)
    if home == name or (within(name, LIBRARIES) and within(home, LIBRARIES)):
        return
    allowed = within(home, ROOMS) or within(home, admitted())
    raise TargetError(f"{name} is not allowed (it is {home})", f"write {home}" if allowed else "")


def _check_kind(name: str, kinds: tuple[type, ...], expected: tuple[type, ...]) -> None:
    for kind in kinds:
        if not issubclass(kind, expected):
            wanted = " or ".join(item.__name__ for item in expected)
            verb = (
                "is" if kind.__qualname__ == name.rpartition(".")[2] else f"gives {kind.__name__}, which is"
            )
            raise TargetError(f"{name} {verb} no kind of {wanted}")


def _returns(function: types.FunctionType) -> tuple[type, ...]:
    """Return the classes that a function says it returns; nothing where it does not say, or cannot now."""
    holder = types.SimpleNamespace(__annotations__={"return": function.__annotations__.get("return", Any)})
    try:
        hint = typing.get_type_hints(holder, globalns=function.__globals__)["return"]
    except NameError:  # imported for type checkers only
        return ()
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    kinds = tuple(typing.get_origin(kind) or kind for kind in kinds)
    return tuple(kind for kind in kinds if isinstance(kind, type)) if Any not in kinds else ()
