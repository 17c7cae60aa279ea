"""What a label column may hold and how it becomes a target: names, numbers, thresholds, sets, scores."""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llm_lab.data.record import UnusableError
from llm_lab.data.source import nearest
from llm_lab.data.spec import Problem
from llm_lab.errors import ConfigError

Reader = Callable[[Any], str | None]
"""Takes a cell, gives the target as text (a name, a JSON list of names, a number); None drops the row."""

COMPARE = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt, "==": operator.eq}
CONDITION = re.compile(r"\s*(<=|>=|<|>|==)\s*([-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)\s*")


def label_reader(
    labels: Sequence[Any] | Mapping[str, Any] | None, *, problem: Problem, separator: str
) -> Reader:
    """Choose how cells are read.

    Args:
        labels: None (names as found), a list of names (a cell holds a name or its number, from 0), a mapping
            from a name to the value or values that mean it, or to conditions such as ``">= 0.5"`` or
            ``"> -1, < 1"``; a number that meets no condition drops the row.
        problem: ``regression`` reads numbers and takes no labels.
        separator: what stands between the labels of one cell where ``problem`` is ``multi_label``.

    Raises:
        ConfigError: labels that do not fit the problem, or cannot be read.
    """
    if problem == "regression":
        if labels is not None:
            raise ConfigError("data.labels: a regression has no labels; take them away or set data.problem")
        return _score
    single = _single(labels)
    return single if problem == "single_label" else _several(single, separator)


def label_names(labels: Sequence[Any] | Mapping[str, Any] | None) -> tuple[str, ...] | None:
    """The names that the configuration lists, in its order; None where they are to be found in the data."""
    return None if labels is None else tuple(str(name) for name in labels)


def sort_names(names: Sequence[str]) -> tuple[str, ...]:
    """Numbers by value, names by letter."""
    return tuple(sorted(names, key=int if all(re.fullmatch(r"-?\d{1,18}", name) for name in names) else str))


def _single(labels: Sequence[Any] | Mapping[str, Any] | None) -> Reader:
    if labels is None:
        return _name
    if not isinstance(labels, Mapping):
        return _listed([str(name) for name in labels])
    conditions = {str(name): _conditions(value) for name, value in labels.items()}
    if all(conditions.values()):
        return _thresholds({name: parts for name, parts in conditions.items() if parts})
    if any(conditions.values()):
        raise ConfigError(
            "data.labels: give every label values, or give every label a condition such as '>= 0.5'"
        )
    return _valued(labels)


def _name(value: Any) -> str:
    """A cell as a name: without surrounding space, whole floats without fraction (pandas writes 1 as 1.0)."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    name = "" if value is None or (isinstance(value, float) and math.isnan(value)) else str(value).strip()
    if not name:
        raise UnusableError("missing label")
    return name


def _listed(names: list[str]) -> Reader:
    numbers = {str(index): name for index, name in enumerate(names)}
    meaning = numbers | {name: name for name in names}
    return lambda value: _look_up(meaning, value, names)


def _valued(labels: Mapping[str, Any]) -> Reader:
    meaning: dict[str, str] = {}
    for label, value in labels.items():
        for one in value if isinstance(value, Sequence) and not isinstance(value, str) else [value]:
            meaning[_name(one)] = str(label)
    return lambda value: _look_up(meaning, value, list(meaning))


def _look_up(meaning: Mapping[str, str], value: Any, known: list[str]) -> str:
    name = _name(value)
    if name in meaning:
        return meaning[name]
    try:
        return meaning[_name(float(name))]
    except (ValueError, KeyError):
        raise UnusableError("unknown label", f"`{name}`{nearest(name, known)}") from None


def _conditions(value: Any) -> list[tuple[str, float]] | None:
    parts = value.split(",") if isinstance(value, str) else []
    matches = [CONDITION.fullmatch(part) for part in parts]
    return [(m[1], float(m[2])) for m in matches if m] if matches and all(matches) else None


def _thresholds(rules: Mapping[str, list[tuple[str, float]]]) -> Reader:
    def read(value: Any) -> str | None:
        number = _number(value)
        for name, conditions in rules.items():
            if all(COMPARE[sign](number, bound) for sign, bound in conditions):
                return name
        return None

    return read


def _number(value: Any) -> float:
    name = _name(value)
    try:
        number = float(name)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UnusableError("not a number", f"`{name}`")
    return number


def _score(value: Any) -> str:
    return repr(_number(value))


def _several(single: Reader, separator: str) -> Reader:
    def read(value: Any) -> str:
        if value is None:
            raise UnusableError("missing label")
        if isinstance(value, Mapping):  # one column per label, as the columns were mapped
            cells = [name for name, cell in value.items() if _is_set(cell)]
        elif isinstance(value, str):
            cells = [part for part in value.split(separator) if part.strip()]
        else:
            cells = list(value) if isinstance(value, Sequence) else [value]
        return json.dumps(sorted({str(single(cell)) for cell in cells}), ensure_ascii=False)

    return read


def _is_set(cell: Any) -> bool:
    number = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0, "": 0.0}.get(str(cell).strip().lower())
    number = _number(cell) if number is None else number
    if number not in {0.0, 1.0}:
        raise UnusableError("unknown label", f"`{cell}`: a column per label holds 0 or 1")
    return bool(number)
