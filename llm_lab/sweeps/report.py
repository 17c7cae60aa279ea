"""What a sweep leaves behind: `sweep.csv` after each job, the page and the table on the terminal at the end."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock

from llm_lab.sweeps.table import CSV, SEEDS_CSV, Table, read_table, seeds_csv, to_csv
from llm_lab.tracking.files import write_text

HTML = "sweep.html"
LOCK = ".table.lock"
LOGGED = 140  # columns where the output is no terminal


def write_table(directory: Path) -> None:
    """Write ``sweep.csv``, and ``sweep_seeds.csv`` where seeds differ, anew from what lies in the directory.

    Any process may call it after any job: readers never see half a file, and of two writers the one that has
    read last writes last.

    Args:
        directory: of the sweep; any folder of run directories will do.
    """
    _write(Path(directory))


def write_sweep(directory: Path) -> None:
    """Write the tables and ``sweep.html``, and print the table, best first.

    Args:
        directory: of the sweep; any folder of run directories will do.
    """
    from rich.console import Console

    from llm_lab.sweeps.ablation import ablations, rows_of
    from llm_lab.sweeps.html import page
    from llm_lab.sweeps.terminal import contributions_table, places, terminal_table

    table = _write(Path(directory))
    write_text(table.directory / HTML, page(table))
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, LOGGED))
    console.print(terminal_table(table))
    if found := rows_of(ablations(table)):
        console.print(contributions_table(found))
    console.print(places(table, table.directory / HTML))


def _write(directory: Path) -> Table:
    with FileLock(directory / LOCK):
        table = read_table(directory)
        write_text(directory / CSV, to_csv(table))
        if table.seeded:
            write_text(directory / SEEDS_CSV, seeds_csv(table))
        return table
