"""The types that a constructor's annotations promise, and whether a YAML value keeps the promise."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_SCALARS = {"int": "int", "float": "float", "str": "str", "bool": "bool", "None": "none", "Path": "str"}
_LISTS = {
    "list",
    "List",
    "Sequence",
    "Iterable",
    "Collection",
    "MutableSequence",
    "tuple",
    "Tuple",
    "set",
    "frozenset",
}
_MAPPINGS = {"dict", "Dict", "Mapping", "MutableMapping", "DictConfig"}
_WORDS = {"none": "null", "str": "a text", "bool": "true or false", "list": "a list", "mapping": "a mapping"}


class Missing:
    """Stands where a value is missing or cannot be resolved: a fault of its own, told once."""


MISSING = Missing()


@dataclass(frozen=True, kw_only=True)
class Type:
    """`kind` is any, none, bool, int, float, str, list, mapping, literal or union."""

    kind: str = "any"
    options: tuple[Type, ...] = ()  # of a union
    values: tuple[Any, ...] = ()  # of a literal
    item: Type | None = None  # of a list's entries or a mapping's values

    def __str__(self) -> str:
        if self.kind == "union":
            return " or ".join(dict.fromkeys(str(option) for option in self.options))
        if self.kind == "literal":
            shown = ["null" if value is None else str(value) for value in self.values]
            return shown[0] if len(shown) == 1 else f"one of {', '.join(shown)}"
        if self.kind in ("list", "mapping") and self.item is not None and self.item.kind != "any":
            return f"{_WORDS[self.kind]} of {self.item}"
        return _WORDS.get(self.kind, self.kind)

    def faults(self, value: Any, key: str) -> Iterator[tuple[str, str]]:
        """Key and message for everything in `value` that is not of this type."""
        if not self.fits(value):
            yield key, f"must be {self}, not {shown(value)}"
            return
        for inner, item in _entries(value):
            kinds = [option.item or ANY for option in self._containers() if option.fits(value)]
            if kinds and all(any(kind.faults(item, key)) for kind in kinds):
                yield from kinds[0].faults(item, f"{key}.{inner}")

    def holds(self, kind: str) -> bool:
        """Whether a value of that kind could be of this type."""
        return self.kind in ("any", kind) or any(option.holds(kind) for option in self.options)

    def literals(self) -> tuple[Any, ...]:
        """All literal values that are legal, for a proposal."""
        return self.values + tuple(value for option in self.options for value in option.literals())

    def _containers(self) -> tuple[Type, ...]:
        return self.options if self.kind == "union" else (self,)

    def fits(self, value: Any) -> bool:
        """Whether the value itself is of this type, whatever is inside it."""
        if value is MISSING or self.kind == "any":
            return True
        if self.kind == "union":
            return any(option.fits(value) for option in self.options)
        if self.kind == "literal":
            return any(value == legal and type(value) is type(legal) for legal in self.values)
        if self.kind == "none":
            return value is None
        if isinstance(value, bool):
            return self.kind == "bool"
        plain = {"int": (int,), "float": (int, float), "str": (str,), "list": (list,), "mapping": (dict,)}
        return isinstance(value, plain.get(self.kind, ()))


ANY = Type()


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((str(key), item) for key, item in value.items())
    elif isinstance(value, list):
        yield from ((str(index), item) for index, item in enumerate(value))


def shown(value: Any) -> str:
    """The value as a user would write it, with what it is where that is not plain to see."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"the text `{value}`"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return f"{value}"


def from_annotation(node: ast.expr | None) -> Type:
    """The type of an annotation, by its text alone; what cannot be read is anything."""
    if node is None:
        return ANY
    if isinstance(node, ast.Constant):
        return Type(kind="none") if node.value is None else _quoted(node.value)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _union(from_annotation(node.left), from_annotation(node.right))
    if isinstance(node, ast.Subscript):
        return _subscript(_name(node.value), node.slice)
    name = _name(node)
    if name in _SCALARS:
        return Type(kind=_SCALARS[name])
    return Type(kind="list") if name in _LISTS else Type(kind="mapping") if name in _MAPPINGS else ANY


def _quoted(value: object) -> Type:
    try:
        return from_annotation(ast.parse(str(value), mode="eval").body)
    except SyntaxError:
        return ANY


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _subscript(name: str, inner: ast.expr) -> Type:
    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if name in {"Optional", "Union"}:
        none = (Type(kind="none"),) if name == "Optional" else ()
        return _union(*(from_annotation(part) for part in parts), *none)
    if name == "Literal":
        values = [part.value for part in parts if isinstance(part, ast.Constant)]
        return Type(kind="literal", values=tuple(values)) if len(values) == len(parts) else ANY
    if name in {"Annotated", "Final", "InitVar"}:
        return from_annotation(parts[0])
    if name in _LISTS:
        return Type(kind="list", item=from_annotation(parts[0]) if len(parts) == 1 else None)
    if name in _MAPPINGS:
        return Type(kind="mapping", item=from_annotation(parts[-1]))
    return ANY


def _union(*options: Type) -> Type:
    flat = [part for option in options for part in (option.options if option.kind == "union" else (option,))]
    return ANY if any(option.kind == "any" for option in flat) else Type(kind="union", options=tuple(flat))
