"""Find the source of a dotted name by the file system alone: nothing is imported, parents neither."""

from __future__ import annotations

import ast
import importlib.util
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
    for name in rest[1:]:
        if found is None or not isinstance(found.node, ast.ClassDef):
            return None
        inner = next(
            (item for item in found.node.body if isinstance(item, Definition) and item.name == name), None
        )
        found = Found(module=found.module, file=found.file, node=inner) if inner else None
    return found


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
    """The folders of a top-level package; of a top-level module, its file. `find_spec` imports no parent here."""
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
    """The definition at the top level; only its own lines are parsed, the whole file where they do not stand alone."""
    start = re.search(rf"^(?:class|def|async def) {re.escape(name)}\b", text, re.MULTILINE)
    if start is None:
        return None
    first = start.start()
    while (before := text.rfind("\n", 0, max(first - 1, 0))) != first - 1 and text[before + 1] == "@":
        first = before + 1
    end = re.compile(r"^[^\s#)\]}@]", re.MULTILINE).search(text, start.end())
    try:
        body = ast.parse(text[first : end.start() if end else len(text)]).body
    except SyntaxError:
        body = _module_body(text)
    return next((item for item in body if isinstance(item, Definition) and item.name == name), None)


@cache
def _module_body(text: str) -> list[ast.stmt]:
    try:
        return ast.parse(text).body
    except SyntaxError:
        return []


def _imported(module: str, file: Path, name: str) -> Iterator[str]:
    """The dotted names that `name` may stand for in a module: imports, also guarded ones, and plain aliases."""
    text = _text(file)
    if name not in text:
        return
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in _statements(_module_body(text)):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    yield f"{_absolute(node, package)}.{alias.name}"
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
            if any(isinstance(target, ast.Name) and target.id == name for target in node.targets):
                yield f"{module}.{node.value.id}"


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try):
            yield from _statements(node.body)
            yield from _statements(node.orelse)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if node.level == 0:
        return str(node.module)
    parts = package.split(".")
    parents = parts[: len(parts) - node.level + 1]
    return ".".join([*parents, node.module] if node.module else parents)
