"""What is wrong with a configuration, and where each of its values comes from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from llm_lab.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The place that set a value last: a YAML file and its line, or a word of the command line.

    `scope` says who owns the file: `ours` (shipped), `user` (the working directory's `conf/`), `pack`
    (a folder of `experiments/`), `hydra` (Hydra's own defaults) or `word` (the command line).
    """

    file: Path | None = None
    line: int | None = None
    word: str | None = None
    scope: str = "word"
    config: str = ""  # the config's name on the search path, `experiment/sentiment` say
    folder: Path | None = None  # the search path entry that holds the file

    def __str__(self) -> str:
        if self.file is None:
            return self.word or ("the command line" if self.scope == "word" else self.config or self.scope)
        path = short_path(self.file)
        return path if self.line is None else f"{path}:{self.line}"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that is wrong: the key it concerns, what, where it was written, what is nearest to right."""

    key: str
    message: str
    where: str = ""
    suggestion: str = ""  # a whole sentence fragment, "did you mean `optimizer.lr`?" say

    def __str__(self) -> str:
        head = f"{self.key}: {self.message}" if self.key else self.message
        tail = f" ({self.where})" if self.where else ""
        return f"{head}{tail}{'; ' + self.suggestion if self.suggestion else ''}"


@dataclass(eq=False)
class FaultsError(ConfigError):
    """All faults of one stage of the check, to be told at once; the command ends with exit code 2."""

    faults: Sequence[Fault] = field(default_factory=tuple)

    def __str__(self) -> str:
        return report(self.faults)


def report(faults: Iterable[Fault]) -> str:
    """One paragraph per fault: key and message, then where it was written and what is nearest to right."""
    unique = list(dict.fromkeys(faults))
    lines = [f"{len(unique)} {'fault' if len(unique) == 1 else 'faults'} in the configuration:"]
    for fault in unique:
        lines.append(f"  {fault.key}: {fault.message}" if fault.key else f"  {fault.message}")
        detail = " - ".join(
            part for part in (f"in {fault.where}" if fault.where else "", fault.suggestion) if part
        )
        lines += [f"      {detail}"] if detail else []
    return "\n".join(lines)


def short_path(path: Path) -> str:
    """The path relative to the working directory where that is shorter to read."""
    try:
        return str(path.relative_to(os.getcwd()))  # noqa: PTH109 - Path.cwd() does the same, slower
    except ValueError:
        return str(path)
