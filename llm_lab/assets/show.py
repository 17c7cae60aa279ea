"""What the user sees of a download: one line with size and licence, and a progress bar, both on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


def announce(name: str, *, size: int | None = None, licence: str = "") -> None:
    """Print one line before anything is fetched."""
    from rich.console import Console
    from rich.filesize import decimal

    facts = [name, decimal(size) if size is not None else "", f"licence: {licence}" if licence else ""]
    Console(stderr=True).print(
        "fetching " + ", ".join(filter(None, facts)), markup=False, highlight=False, soft_wrap=True
    )


@contextmanager
def progress(name: str, *, done: int, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar that moves by the bytes given to the yielded function; silent where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    console = Console(stderr=True)
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    label = TextColumn("{task.description}", markup=False)
    with Progress(label, *columns, console=console, disable=not console.is_terminal) as bars:
        bar = bars.add_task(name, total=total, completed=done)
        yield lambda count: bars.advance(bar, count)
