"""Tables on the terminal and the same figures as JSON, so that runs can be compared later."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from llm_lab.assets import home

WIDTH = 120  # where output is no terminal, or a narrow one


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table whose first column is a name and whose others are figures."""
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    Console(width=max(Console().width, WIDTH)).print(table)


def save(name: str, figures: Mapping[str, Any], file: Path | None) -> Path:
    """Write the figures with what identifies machine and software; into the cache without a `file`."""
    import torch
    import transformers

    facts = {
        "bench": name,
        "time": time.strftime("%Y-%m-%dT%H:%M:%S"),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "threads": torch.get_num_threads(),
    }
    file = file or home() / "bench" / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({**facts, **figures}, indent=1) + "\n", encoding="utf-8")
    return file


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Median of the ratios of figures that were measured in the same round."""
    return median(one / other for one, other in zip(ours, theirs, strict=True))
