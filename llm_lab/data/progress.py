"""One progress line for work over rows, shown where a person looks at a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

STEP = 1000  # rows between two updates


T = TypeVar("T")


def progress(rows: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """Pass rows on and count them on standard error."""
    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description} {task.completed:,.0f} rows"),
        TaskProgressColumn(),
    )
    with Progress(
        *columns, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(what, total=total)
        count = 0
        for count, row in enumerate(rows, start=1):
            yield row
            if count % STEP == 0:
                bar.update(task, completed=count)
