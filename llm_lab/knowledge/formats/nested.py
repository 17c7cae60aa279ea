"""Rows inside of JSON objects and Python literals."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from llm_lab.config.nearest import did_you_mean
from llm_lab.data.record import Record, Rejected, UnusableError
from llm_lab.data.text_files import open_text
from llm_lab.errors import DataError
from llm_lab.knowledge.formats.source import GraphSource


def read_nested(path: Path, source: GraphSource) -> Iterator[Record | Rejected]:
    """Yield the objects that the source's ``rows`` leads to; ``line`` counts them, from 1.

    Raises:
        DataError: the file is broken, or the path leads nowhere.
    """
    content = _python(path) if source.format == "python" else _json(path, source.encoding)
    steps = (source.rows or "*").split(".")
    for number, (value, keys) in enumerate(_walk(content, steps, {}, path), start=1):
        if isinstance(value, Mapping):
            yield Record(path.name, number, {**value, **keys})
        elif isinstance(value, UnusableError):
            yield Rejected(path.name, number, value.reason, value.detail)
        else:
            yield Rejected(path.name, number, "not an object", repr(value))


def _walk(
    value: Any, steps: list[str], keys: dict[str, str], path: Path, *, inside: bool = False
) -> Iterator[tuple[Any, dict[str, str]]]:
    """What stands at the end of the steps, with the keys that were named; an error in its place spoils that row only.

    Args:
        value: where to go on from.
        steps: that are left.
        keys: named so far.
        path: for messages.
        inside: one of several elements already.
    """
    if not steps:
        yield value, keys
        return
    step, rest = steps[0], steps[1:]
    if step != "*" and not step.startswith("{"):
        if not isinstance(value, Mapping) or step not in value:
            if inside:
                yield UnusableError("no such key", f"{step} in {value!r}"), keys
                return
            known = value if isinstance(value, Mapping) else ()
            raise DataError(f"{path}: there is no `{step}`; {did_you_mean(step, map(str, known))}")
        yield from _walk(value[step], rest, keys, path, inside=inside)
        return
    if not isinstance(value, Mapping | list | tuple):
        yield UnusableError("neither a list nor an object", repr(value)), keys
        return
    items = value.items() if isinstance(value, Mapping) else enumerate(value)
    for key, item in items:
        named = keys if step == "*" else {**keys, step.strip("{}"): str(key)}
        yield from _walk(item, rest, named, path, inside=True)


def _json(path: Path, encoding: str) -> Any:
    with open_text(path, encoding=encoding, newline="\n") as stream:
        try:
            return json.load(stream)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}: not JSON: {error}") from error


def _python(path: Path) -> dict[str, Any]:
    """The literals that a Python module assigns, read without running it."""
    with open_text(path, encoding="utf-8", newline="\n") as stream:
        try:
            tree = ast.parse(stream.read())
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise DataError(f"{path}: not Python: {error}") from error
    found = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            try:
                found[statement.targets[0].id] = ast.literal_eval(statement.value)
            except ValueError:  # computed, not a literal
                continue
    return found
