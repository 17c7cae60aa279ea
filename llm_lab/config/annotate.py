"""A composed config as YAML, each value with the place that set it as a comment beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from llm_lab.config import origins
from llm_lab.config.fault import Origin

_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
WIDEST = 72  # longer lines do not push the comments of all the others to the right


def annotated(values: Mapping[str, Any], found: Mapping[str, Origin], *, prefix: str = "") -> str:
    """YAML text of plain values; `found` holds the origins by dotted key, `prefix` is the key of `values`."""
    rows = list(_rows(values, found, prefix, 0))
    width = min(max((len(text) for text, _ in rows), default=0), WIDEST)
    lines = [f"{text:<{width}}  # {where}" if where else text for text, where in rows]
    return "\n".join(line.rstrip() for line in lines)


def _rows(
    node: Mapping[str, Any], found: Mapping[str, Origin], prefix: str, depth: int
) -> Iterator[tuple[str, str]]:
    for name, value in node.items():
        key = f"{prefix}.{name}" if prefix else str(name)
        head = f"{'  ' * depth}{scalar(name)}:"
        if isinstance(value, Mapping) and value:
            yield head, ""
            yield from _rows(value, found, key, depth + 1)
        else:
            origin = origins.find(found, key)
            yield f"{head} {scalar(value)}", "hydra" if origin is origins.HYDRA else str(origin)


def scalar(value: Any) -> str:
    """One value on one line of YAML."""
    text = yaml.dump(
        value, Dumper=_Dumper, default_flow_style=True, width=10**6, allow_unicode=True, sort_keys=False
    )
    return str(text).strip().removesuffix("...").strip()
