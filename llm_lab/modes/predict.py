"""Say what a run's model says of a table or a stream of any size."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from llm_lab.config.words import Words
from llm_lab.errors import ConfigError
from llm_lab.modes.quiet import hush


def predict(folder: Path, *, source: str, output: str = "-", column: str | None = None) -> int:
    """Stream rows from ``source`` (a file, ``-`` for standard input) to ``output``, answered.

    Every row keeps its columns and gains what the model says; a column of the same name is kept as ``input_label``
    and so on. The suffix of ``output`` tells the format; without one it is
    JSON lines for JSON, otherwise what suits the problem, CSV for most. A row without text
    keeps its place with an empty answer.
    """
    hush(log_file=False)
    from llm_lab.predictors import predictor

    model = predictor(folder)
    rows = model.answered(model.read(source, column))
    with _opened(output) as stream:
        model.write(rows, stream, _suffix(source, output))
    return 0


def _suffix(source: str, output: str) -> str:
    """Of the output's name; JSON where that has none and the input is some."""
    from llm_lab.data.predict_input import JSON

    suffix = Path(source).suffix
    return Path(output).suffix or (suffix if suffix in JSON else "")


@contextmanager
def _opened(output: str) -> Iterator[TextIO]:
    """Standard output, or a file that appears under its name only when it is complete."""
    if output == "-":
        yield sys.stdout
        return
    target = Path(output)
    temporary = target.with_name(f".{target.name}.tmp")
    with temporary.open("w", encoding="utf-8", newline="") as stream:
        yield stream
    temporary.replace(target)


def main(words: Words) -> int:
    """`llm_lab predict RUN --input FILE|- [--output FILE] [--column NAME]`."""
    source = words.flags.get("input")
    if source is None:
        raise ConfigError(
            "predict needs --input FILE (CSV, TSV, JSONL, text, a picture, a sound, or a folder; - is standard input)"
        )
    output, column = str(words.flags.get("output", "-")), words.flags.get("column")
    folder = Path(words.positionals[0])
    return predict(folder, source=str(source), output=output, column=str(column) if column else None)
