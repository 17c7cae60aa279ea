"""Show what can be chosen: experiments with their figures, then every group with its choices."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

from llm_lab.config.catalogue import EXPERIMENT, Entry, catalogue, inside
from llm_lab.config.nearest import did_you_mean
from llm_lab.config.search_path import clashes, layers
from llm_lab.config.words import OUTSIDE, Words
from llm_lab.errors import ConfigError

NARROWEST = 60
WIDE = 200  # where no terminal cuts the lines, nothing is cut


def main(words: Words) -> int:
    """Print the catalogue, or one group of it; raises ConfigError for a group that is not there."""
    found = layers()
    groups = catalogue(found)
    width = max(shutil.get_terminal_size((WIDE, 24)).columns, NARROWEST) if sys.stdout.isatty() else WIDE
    if words.positionals:
        name = {"experiments": EXPERIMENT}.get(words.positionals[0], words.positionals[0].strip("/"))
        chosen = inside(groups, name)
        if not chosen:
            raise ConfigError(f"there is no group `{name}`; {did_you_mean(name, groups)}")
        blocks = [_block(group, groups[group], width) for group in chosen]
    else:
        blocks = [
            _block(group, entries, width)
            for group, entries in groups.items()
            if not group.startswith("hydra")
        ]
        blocks.append(
            "Train one:  python -m llm_lab +experiment=NAME\n"
            "Look first: python -m llm_lab show +experiment=NAME"
        )
    print("\n\n".join(blocks))
    for fault in clashes(found):
        sys.stderr.write(f"warning: {fault}\n")
    return 0


def _block(group: str, entries: Sequence[Entry], width: int) -> str:
    if group == EXPERIMENT:
        rows = [(entry.name, entry.figure, entry.minutes, _text(entry)) for entry in entries]
        return _table("experiments (+experiment=NAME)", rows, width)
    form = f"+{group}=NAME" if group in OUTSIDE else f"{group}=NAME"
    return _table(f"{group} ({form})", [(entry.name, _text(entry)) for entry in entries], width)


def _text(entry: Entry) -> str:
    return (
        entry.summary
        if entry.layer.scope == "ours"
        else f"{entry.summary} [{entry.layer.folder.name}]".strip()
    )


def _table(title: str, rows: Sequence[Sequence[str]], width: int) -> str:
    """Rows under a title, columns aligned, the last one cut where the terminal ends."""
    columns = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = [title]
    for row in rows:
        line = "  " + "  ".join(cell.ljust(size) for cell, size in zip(row, columns, strict=True))
        line = line.rstrip()
        lines.append(line if len(line) <= width else f"{line[: width - 3].rstrip()}...")
    return "\n".join(lines)
