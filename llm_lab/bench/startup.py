"""Wall time of the light commands against a bare Hydra application that composes one value and exits."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from llm_lab.bench.report import ratio, save, show

COMMANDS = {
    "list": ["-m", "llm_lab", "list"],
    "--help": ["-m", "llm_lab", "--help"],
    "check": ["-m", "llm_lab", "check", "+experiment=sentiment"],
}
BARE = "a bare Hydra application"
APPLICATION = """
import hydra

@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(config):
    print(config.value)

main()
"""


def main(words: Sequence[str] = ()) -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m llm_lab.bench startup", description="time of light commands"
    )
    parser.add_argument(
        "--json", type=Path, help="where to write the figures; a file in the cache without it"
    )
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args(list(words))
    found = measure(options.rounds)
    rows = [
        [name, f"{median(times):.3f}", f"{ratio(times, found[BARE]):.2f}"] for name, times in found.items()
    ]
    title = f"seconds of wall time, median of {options.rounds} rounds"
    show(title, ("", "seconds", "to the bare application"), rows)
    print(f"figures: {save('startup', {'seconds': found}, options.json)}")


def measure(rounds: int) -> dict[str, list[float]]:
    """Return seconds of every command, a figure per round; a round before them warms the page cache."""
    with tempfile.TemporaryDirectory() as folder:
        commands = COMMANDS | {BARE: [str(write_application(Path(folder)))]}
        found: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(rounds + 1):
            for name, words in commands.items():
                seconds = run(words, folder)
                if number:
                    found[name].append(seconds)
    return found


def write_application(folder: Path) -> Path:
    """Write the smallest Hydra application into a folder."""
    conf = folder / "application" / "conf"
    conf.mkdir(parents=True)
    (conf / "config.yaml").write_text("value: 1\nhydra: {run: {dir: .}, output_subdir: null}\n")
    file = conf.parent / "application.py"
    file.write_text(APPLICATION)
    return file


def run(words: Sequence[str], folder: str) -> float:
    """Return the seconds of one command.

    Raises:
        CalledProcessError: it failed.
    """
    start = time.perf_counter()
    subprocess.run([sys.executable, *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start
