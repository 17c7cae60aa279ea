"""What is swept over, and which value each job has: from its words, else from its stored config."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

SEED = "seed"
NOT_SWEPT = ("hydra", "paths", "logger", "ledger", "expected", "name")
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C where it was built
Values = Mapping[str, Any]


def word_values(words: Iterable[str]) -> dict[str, Any]:
    """``["+optimizer.lr=1e-3"]`` -> ``{"optimizer.lr": 0.001}``; the last word of a key counts."""
    pairs = (word.lstrip("+").partition("=") for word in words if "=" in word and not word.startswith("~"))
    return {key: typed(text) for key, _, text in pairs if key.split(".")[0].split("/")[0] not in NOT_SWEPT}


def typed(text: str) -> Any:
    """A value as it is written in a word: a number, a truth value, null, else a text without its quotes."""
    known: dict[str, Any] = {"true": True, "false": False, "null": None}
    if text.lower() in known:
        return known[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if quoted else text


def stored_values(run: Path) -> dict[str, Any]:
    """The run's ``config.yaml`` as ``a.b.c`` -> value; empty where there is none that can be read."""
    try:
        config = yaml.load((run / "config.yaml").read_text(encoding="utf-8"), LOADER)  # noqa: S506 - the safe one
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return dict(_flat(config)) if isinstance(config, dict) else {}


def _flat(node: Mapping[Any, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in node.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.")
        else:
            yield (
                name,
                value if value is None or isinstance(value, bool | int | float | str) else json.dumps(value),
            )


def differing(words: Sequence[Values], configs: Sequence[Values]) -> list[str]:
    """The keys in which jobs differ: what was typed first, then what only the stored configs tell.

    A key of the configs is left out where it follows from another one: where it tells the same jobs apart as
    a typed key (``model.source`` with ``model=``), or has the same values as a key before it (``data.seed``).
    """
    kept: dict[str, list[Any]] = {}
    typed_keys = dict.fromkeys(key for one in words for key in one)
    for key in typed_keys:
        column = [one.get(key, config.get(key)) for one, config in zip(words, configs, strict=True)]
        if _differs(column):
            kept[key] = column
    shapes = {_shape(column) for column in kept.values()}
    stored = {key for config in configs for key in config if key.split(".")[0] not in NOT_SWEPT} - kept.keys()
    for key in sorted(stored, key=lambda name: (name.count("."), name)):
        column = [config.get(key) for config in configs]
        if _differs(column) and _shape(column) not in shapes and column not in kept.values():
            kept[key] = column
    return list(kept)


def _differs(column: Sequence[Any]) -> bool:
    return any(value != column[0] for value in column)


def _shape(column: Sequence[Hashable]) -> tuple[int, ...]:
    """Which jobs have equal values: the same for two keys that tell the same jobs apart."""
    first: dict[str, int] = {}
    return tuple(first.setdefault(repr(value), len(first)) for value in column)
