"""The signature of a `_target_` is its schema: legal keys, types, what is required; read, never imported."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from llm_lab.config.sources_of import Found, alias, find
from llm_lab.config.types import ANY, Type, from_annotation

_BARE_BASES = {"object", "ABC", "Protocol", "Generic", "Enum"}


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One argument: its type, whether it must be given, its default where that is a literal."""

    type: Type = ANY
    required: bool = False
    default: object = None


@dataclass(frozen=True, kw_only=True)
class Signature:
    """What a target takes; `open` where it takes keys that its source does not name."""

    parameters: dict[str, Parameter]
    open: bool = False
    file: Path | None = None


@cache
def signature_of(target: str) -> Signature | None:
    """The signature of a class, a dataclass, a function or a method; None where no source shows it."""
    found = find(target)
    if found is None:
        return None
    if isinstance(found.node, ast.ClassDef):
        parameters, is_open = _of_class(found, found.node, target)
    else:
        bound = (
            1 if "." in target.removeprefix(f"{found.module}.") else 0
        )  # a class method's own first argument
        parameters, is_open = _of_function(found, found.node, skip=bound)
    return Signature(parameters=parameters, open=is_open, file=found.file)


Parameters = tuple[dict[str, Parameter], bool]


def _of_function(home: Found, node: ast.FunctionDef | ast.AsyncFunctionDef, *, skip: int = 0) -> Parameters:
    """All arguments that can be given by name, after the first `skip` (self, cls)."""
    arguments, found = node.args, dict[str, Parameter]()
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [
        *[None] * (len(positional) - len(arguments.defaults)),
        *arguments.defaults,
    ]
    pairs = [
        *list(zip(positional, defaults, strict=True))[skip:],
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    for argument, default in pairs:
        if argument not in arguments.posonlyargs:
            found[argument.arg] = _parameter(home, argument.annotation, default)
    return found, arguments.kwarg is not None


def _parameter(home: Found, annotation: ast.expr | None, default: ast.expr | None) -> Parameter:
    try:
        value = None if default is None else ast.literal_eval(default)
    except ValueError:
        value = None
    kind = from_annotation(annotation, partial(_named, home.module))
    return Parameter(type=kind, required=default is None, default=value)


def _named(module: str, name: str) -> Type:
    """The type that a name stands for in a module, anything where it is no type of plain values."""
    found = alias(module, name)
    return ANY if found is None else from_annotation(found[1], partial(_named, found[0]))


def _of_class(found: Found, node: ast.ClassDef, target: str, depth: int = 8) -> Parameters:
    if _is_dataclass(node):
        return _of_dataclass(found, node, target, depth)
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            own, passes_on = _of_function(found, item, skip=1)
            if not passes_on:
                return own, False
            inherited, is_open = _of_bases(found, node, target, depth)
            optional = {name: dataclasses.replace(item, required=False) for name, item in inherited.items()}
            return {**optional, **own}, is_open  # what a base requires, this constructor may give by itself
    return _of_bases(found, node, target, depth)


def _of_bases(found: Found, node: ast.ClassDef, target: str, depth: int) -> Parameters:
    """The first base whose source shows a constructor; what cannot be read may take anything."""
    bases = [base for base in _bases(found.module, node) if base.rpartition(".")[2] not in _BARE_BASES]
    for base in bases:
        inherited = find(base) if depth else None
        if inherited is not None and isinstance(inherited.node, ast.ClassDef) and base != target:
            return _of_class(inherited, inherited.node, base, depth - 1)
    return {}, bool(bases)


def _bases(module: str, node: ast.ClassDef) -> Iterator[str]:
    for base in node.bases:
        name = base.value if isinstance(base, ast.Subscript) else base
        parts = []
        while isinstance(name, ast.Attribute):
            parts.append(name.attr)
            name = name.value
        if isinstance(name, ast.Name):
            dotted = ".".join([name.id, *reversed(parts)])
            yield dotted if parts else f"{module}.{dotted}"


def _is_dataclass(node: ast.ClassDef) -> bool:
    names = [item.func if isinstance(item, ast.Call) else item for item in node.decorator_list]
    return any(
        (isinstance(name, ast.Name) and name.id == "dataclass")
        or (isinstance(name, ast.Attribute) and name.attr == "dataclass")
        for name in names
    )


def _of_dataclass(found: Found, node: ast.ClassDef, target: str, depth: int) -> Parameters:
    inherited, is_open = _of_bases(found, node, target, depth)
    for item in node.body:
        if not (isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)):
            continue
        if "ClassVar" in ast.dump(item.annotation) or _keyword(item.value, "init") is False:
            continue
        if isinstance(item.value, ast.Call) and not _has_default(item.value):
            inherited[item.target.id] = _parameter(found, item.annotation, None)
        else:
            inherited[item.target.id] = _parameter(found, item.annotation, item.value)
    return inherited, is_open


def _keyword(value: ast.expr | None, name: str) -> object:
    if not isinstance(value, ast.Call):
        return None
    given = next((item.value for item in value.keywords if item.arg == name), None)
    return given.value if isinstance(given, ast.Constant) else None


def _has_default(call: ast.Call) -> bool:
    if not (isinstance(call.func, ast.Name) and call.func.id == "field"):
        return True
    return any(item.arg in ("default", "default_factory") for item in call.keywords)
