"""The learning curves in a run's ``history.jsonl``, read without what made them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from llm_lab.tracking.files import write_text

Row = dict[str, Any]


def read_history(path: Path) -> list[Row]:
    """Return the rows by step, one per step; the later value wins, a torn last line is dropped.

    An absent file has no rows.
    """
    by_step: dict[int, Row] = {}
    for row in _rows(path):
        by_step.setdefault(int(row["step"]), {}).update(row)
    return [by_step[step] for step in sorted(by_step)]


def rewind(path: Path, *, step: int) -> None:
    """Keep only the whole rows up to ``step``, none at the start; the file is never seen half-written."""
    if path.is_file():
        kept = [json.dumps(row) for row in _rows(path) if 0 < step >= row["step"]]
        write_text(path, "".join(f"{line}\n" for line in kept))


def _rows(path: Path) -> Iterable[Row]:
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            yield row
