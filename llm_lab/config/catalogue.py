"""What can be chosen, read from the YAML files without composing them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from llm_lab.config import documents
from llm_lab.config.search_path import Layer, configs

EXPERIMENT = "experiment"
_SENTENCE_END = re.compile(r"(?<! al)(?<!e\.g)(?<!i\.e)\.\s+(?=[A-Z`])")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One choice of a group: its name, its comment, whose it is, and its plain content."""

    name: str
    comment: str
    layer: Layer
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """The first sentence of the comment, without its full stop."""
        return _SENTENCE_END.split(self.comment, maxsplit=1)[0].rstrip().removesuffix(".")

    @property
    def figure(self) -> str:
        """What an experiment is expected to reach, `test/accuracy 0.87 ± 0.015` say; may be empty."""
        expected = self.data.get("expected")
        if not isinstance(expected, dict) or "value" not in expected:
            return ""
        spread = f" ± {expected['tolerance']:g}" if "tolerance" in expected else ""
        return f"{expected.get('metric', '')} {expected['value']:g}{spread}".strip()

    @property
    def minutes(self) -> str:
        """How long an experiment is expected to take, `4 min` say; may be empty."""
        expected = self.data.get("expected")
        minutes = expected.get("minutes") if isinstance(expected, dict) else None
        return f"{minutes:g} min" if isinstance(minutes, int | float) else ""


def catalogue(found: Sequence[Layer]) -> dict[str, list[Entry]]:
    """Every group with its choices, experiments first; the first layer that holds a name counts.

    A file that cannot be read stays in the list and says so in its comment.
    """
    groups: dict[str, dict[str, Entry]] = {}
    for layer in found:
        for name in configs(layer.folder):
            group, _, choice = name.rpartition("/")
            if group:
                groups.setdefault(group, {}).setdefault(choice, _entry(layer, name, choice))
    order = sorted(groups, key=lambda group: (group != EXPERIMENT, group))
    return {group: [groups[group][name] for name in sorted(groups[group])] for group in order}


def _entry(layer: Layer, name: str, choice: str) -> Entry:
    try:
        document = documents.read(layer.folder / f"{name}.yaml")
    except documents.DocumentError as error:
        return Entry(name=choice, comment=f"(not valid YAML, line {error.line})", layer=layer)
    data = document.data if isinstance(document.data, dict) else {}
    return Entry(name=choice, comment=document.comment, layer=layer, data=data)


def inside(groups: Iterable[str], name: str) -> list[str]:
    """The group of that name and those below it."""
    return [group for group in groups if group == name or group.startswith(f"{name}/")]
