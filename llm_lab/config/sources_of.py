"""Find the source of a dotted name by the file system alone: nothing is imported, parents neither."""

from __future__ import annotations

import ast
import importlib.util
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
_DEPTH = 12  # re-exports followed before giving up


@dataclass(frozen=True, kw_only=True)
class Found:
    """A definition and the module it stands in."""

    module: str
    file: Path
    node: Definition


@cache
def find(target: str) -> Found | None:
    """The class or function (a method of a class too) of a dotted name, None where no source shows it."""
    return _find(target, _DEPTH)


def _find(target: str, depth: int) -> Found | None:
    module, rest = _split(target)
    if module is None or not rest or depth == 0:
        return None
    file = module_file(module)
    if file is None:
        return None
    found = _in_module(module, file, rest[0], depth)
    for holder, name in itertools.pairwise(rest):
        found = _member(found, holder, name) if found is not None else None
    return found


def _member(found: Found, holder: str, name: str) -> Found | None:
    """A method, or a class, inside a class."""
    node = _from_module(_text(found.file), holder)
    body = node.body if isinstance(node, ast.ClassDef) else []
    inner = next((item for item in body if isinstance(item, Definition) and item.name == name), None)
    return Found(module=found.module, file=found.file, node=inner) if inner else None


def _split(target: str) -> tuple[str | None, list[str]]:
    """The longest part of the name that is a module, and the attributes after it."""
    parts = target.split(".")
    for length in range(len(parts) - 1, 0, -1):
        if module_file(".".join(parts[:length])) is not None:
            return ".".join(parts[:length]), parts[length:]
    return None, parts


@cache
def module_file(module: str) -> Path | None:
    """The file of a module: `x.py`, or a package's `__init__.py`."""
    head, *rest = module.split(".")
    if not all(part.isidentifier() for part in (head, *rest)):
        return None
    for place in _locations(head):
        if not rest:
            return (
                place
                if place.is_file()
                else place / "__init__.py"
                if (place / "__init__.py").is_file()
                else None
            )
        inside = place.joinpath(*rest)
        for file in (inside / "__init__.py", inside.with_suffix(".py")):
            if file.is_file():
                return file
    return None


@cache
def _locations(package: str) -> tuple[Path, ...]:
    """The folders of a top-level package, or a module's file; `find_spec` imports no parent here."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return ()
    if spec is None:
        return ()
    if spec.submodule_search_locations is not None:
        return tuple(Path(folder) for folder in spec.submodule_search_locations)
    return (Path(spec.origin),) if spec.origin and spec.origin.endswith(".py") else ()


def _in_module(module: str, file: Path, name: str, depth: int) -> Found | None:
    text = _text(file)
    if (node := _defined(text, name)) is not None:
        return Found(module=module, file=file, node=node)
    for source in _imported(module, file, name):
        if (found := _find(source, depth - 1)) is not None:
            return found
    return None


@cache
def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _defined(text: str, name: str) -> Definition | None:
    """The definition at the top level, of a class the head and what its constructor's signature needs.

    Bodies are left out: parsing them would take most of a start.
    """
    start = re.search(rf"^(?:class|def|async def) {re.escape(name)}\b", text, re.MULTILINE)
    if start is None:
        return None
    if text[start.start()] != "c":
        return _parsed(_head(text, start.start()))
    end = _BLOCK_END.search(text, start.end())
    body = text[start.start() : end.start() if end else len(text)]
    decorators = _decorators(text, start.start())
    if "dataclass" in decorators:
        return _parsed(decorators + body) or _from_module(text, name)
    made = re.search(r"^    def __init__\b", body, re.MULTILINE)
    inside = f"\n{_head(body, made.start())}" if made else " pass"
    return _parsed(_head(text, start.start()).removesuffix(" pass") + inside) or _from_module(text, name)


_BLOCK_END = re.compile(r"^[^\s#)\]}]", re.MULTILINE)
_HEAD_END = re.compile(r":[ \t]*(?:#[^\n]*)?$", re.MULTILINE)


def _head(text: str, start: int) -> str:
    """A `class` or `def` up to the colon that ends its head, with a body that does nothing."""
    for end in _HEAD_END.finditer(text, start):
        head = text[start : end.start() + 1] + " pass"
        if _parses(head.lstrip()):
            return head
    return ""


def _parses(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def _decorators(text: str, start: int) -> str:
    """The lines of decorators above a definition."""
    first = start
    while (before := text.rfind("\n", 0, max(first - 1, 0)) + 1) < first and text[before] == "@":
        first = before
    return text[first:start]


def _parsed(source: str) -> Definition | None:
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return None
    return next((item for item in body if isinstance(item, Definition)), None)


def _from_module(text: str, name: str) -> Definition | None:
    """The definition from a parse of the whole file, where its own lines do not stand alone."""
    try:
        body = ast.parse(text).body
    except SyntaxError:
        return None
    return next((item for item in body if isinstance(item, Definition) and item.name == name), None)


def whole(target: str) -> Definition | None:
    """The definition with its body and docstring: slower than `find`, for what is written, not checked."""
    found = find(target)
    name = target.rpartition(".")[2]
    return None if found is None else _from_module(_text(found.file), name)


@cache
def alias(module: str, name: str) -> tuple[str, ast.expr] | None:
    """What stands behind `name =` in a module of ours, or in one that it has the name from, and which that is."""
    return _alias(module, name, _DEPTH)


def _alias(module: str, name: str, depth: int) -> tuple[str, ast.expr] | None:
    file = module_file(module) if depth and module.partition(".")[0] == __name__.partition(".")[0] else None
    if file is None:
        return None
    text = _text(file)
    if start := re.search(rf"^{re.escape(name)}[ \t]*=[ \t]*", text, re.MULTILINE):
        end = _BLOCK_END.search(text, start.end())
        value = _expression(text[start.end() : end.start() if end else len(text)])
        return None if value is None else (module, value)
    homes = (source.rpartition(".") for source in _imported(module, file, name))
    return next(filter(None, (_alias(home, original, depth - 1) for home, _, original in homes)), None)


def _expression(text: str) -> ast.expr | None:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        return None


_IMPORT = re.compile(r"^[ \t]*from[ \t]+(\.*[\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)", re.MULTILINE)


def _imported(module: str, file: Path, name: str) -> Iterator[str]:
    """The dotted names that `name` may stand for in a module: imports, guarded or not, and aliases."""
    text = _text(file)
    if name not in text:
        return
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for source, names in _IMPORT.findall(text):
        if name in names:
            for item in re.sub(r"#[^\n]*", "", names).strip("()").split(","):
                original, *alias = item.split(" as ")
                if (alias or [original])[0].strip() == name:
                    yield f"{_absolute(source, package)}.{original.strip()}"
    if alias_of := re.search(rf"^{re.escape(name)}[ \t]*=[ \t]*(\w+)[ \t]*$", text, re.MULTILINE):
        yield f"{module}.{alias_of[1]}"


def _absolute(source: str, package: str) -> str:
    """The module that `from source import` names inside `package`."""
    name = source.lstrip(".")
    level = len(source) - len(name)
    if level == 0:
        return name
    parts = package.split(".")
    parents = parts[: len(parts) - level + 1]
    return ".".join([*parents, name] if name else parents)
