"""The types that a constructor's annotations promise, and whether a YAML value keeps the promise."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from llm_lab.config.nearest import nearest

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
_PYTHON: Mapping[str, tuple[type, ...]] = {
    "int": (int,), "float": (int, float), "str": (str,), "list": (list, tuple), "mapping": (Mapping,),
}  # fmt: skip
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
    size: int | None = None  # of a list that has so many entries

    def __str__(self) -> str:
        if self.kind == "union":
            return " or ".join(dict.fromkeys(str(option) for option in self.options))
        if self.kind == "literal":
            shown = ["null" if value is None else str(value) for value in self.values]
            return shown[0] if len(shown) == 1 else f"one of {', '.join(shown)}"
        sized = "" if self.size is None else f" of {self.size}"
        if self.kind in ("list", "mapping") and self.item is not None and self.item.kind != "any":
            return f"{_WORDS[self.kind]}{sized or ' of'} {self.item}"
        return f"{_WORDS.get(self.kind, self.kind)}{sized}"

    def faults(self, value: Any, key: str) -> Iterator[tuple[str, str]]:
        """Key and message for everything in `value` that is not of this type."""
        if not self.fits(value):
            yield key, f"must be {self}, not {shown(value)}{self._size_of(value)}"
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

    def proposal(self, value: Any) -> str:
        """How a value that is not of this type would be, where that is plain."""
        if isinstance(value, float) and self.holds("int") and value.is_integer():
            return f"write {int(value)}"
        if isinstance(value, str):
            found = nearest(value, [str(item) for item in self.literals()])
            return f"did you mean `{found}`?" if found else ""
        return f"quote it: '{value}'" if self.holds("str") and isinstance(value, int | float) else ""

    def _size_of(self, value: Any) -> str:
        """How long a list is, where it is only too long or too short."""
        sized = any(option.size is not None for option in self._containers())
        return f" of {len(value)}" if sized and isinstance(value, list | tuple) else ""

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
        if value is None or isinstance(value, bool):
            return self.kind == ("none" if value is None else "bool")
        fits = isinstance(value, _PYTHON.get(self.kind, ()))
        return fits and (self.size is None or len(value) == self.size)


ANY = Type()


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((str(key), item) for key, item in value.items())
    elif isinstance(value, list | tuple):
        yield from ((str(index), item) for index, item in enumerate(value))


def shown(value: Any) -> str:
    """The value as a user would write it, with what it is where that is not plain to see."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"the text `{value}`"
    if isinstance(value, Mapping | list | tuple):
        return "a mapping" if isinstance(value, Mapping) else "a list"
    return f"{value}"


def anything(name: str) -> Type:  # noqa: ARG001 - as others read names
    """The type of a name of which nothing is known."""
    return ANY


def from_annotation(node: ast.expr | None, named: Callable[[str], Type] = anything) -> Type:
    """The type of an annotation, by its text alone; what cannot be read is anything.

    Args:
        node: the annotation.
        named: the type that another name in it stands for: `Mode = Literal["fast", "exact"]`.
    """
    if node is None or isinstance(node, ast.Constant):
        return ANY if node is None else Type(kind="none") if node.value is None else _quoted(node.value)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _union(from_annotation(node.left, named), from_annotation(node.right, named))
    if isinstance(node, ast.Subscript):
        return _subscript(_name(node.value), node.slice, named)
    name = _name(node)
    if kind := _SCALARS.get(name) or ("list" if name in _LISTS else "mapping" if name in _MAPPINGS else ""):
        return Type(kind=kind)
    return named(name) if isinstance(node, ast.Name) else ANY


def _quoted(value: object) -> Type:
    try:
        return from_annotation(ast.parse(str(value), mode="eval").body)
    except SyntaxError:
        return ANY


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _subscript(name: str, inner: ast.expr, named: Callable[[str], Type]) -> Type:
    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if name in {"Optional", "Union"}:
        none = (Type(kind="none"),) if name == "Optional" else ()
        return _union(*(from_annotation(part, named) for part in parts), *none)
    if name == "Literal":
        values = [part.value for part in parts if isinstance(part, ast.Constant)]
        return Type(kind="literal", values=tuple(values)) if len(values) == len(parts) else ANY
    if name in {"Annotated", "Final", "InitVar"}:
        return from_annotation(parts[0], named)
    if name in _LISTS:
        return _list([from_annotation(part, named) for part in parts], parts[-1])
    if name in _MAPPINGS:
        return Type(kind="mapping", item=from_annotation(parts[-1], named))
    return ANY


def _list(items: list[Type], last: ast.expr) -> Type:
    """A list of any length, or a tuple of so many entries; where these differ, nothing is said of them."""
    open_end = len(items) == 1 or (isinstance(last, ast.Constant) and last.value is Ellipsis)
    same = open_end or len(set(items)) == 1
    return Type(kind="list", item=items[0] if same else None, size=None if open_end else len(items))


def _union(*options: Type) -> Type:
    flat = [part for option in options for part in (option.options if option.kind == "union" else (option,))]
    return ANY if any(option.kind == "any" for option in flat) else Type(kind="union", options=tuple(flat))
