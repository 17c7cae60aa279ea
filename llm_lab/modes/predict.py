"""Label a table or a stream of any size with a run's model."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import torch

from llm_lab.config import build_all
from llm_lab.config.secrets import escape_cell
from llm_lab.config.words import Words
from llm_lab.data.predict_input import read_rows
from llm_lab.data.transforms import Transform, apply
from llm_lab.errors import ConfigError, RunError
from llm_lab.modes.quiet import hush
from llm_lab.modes.run import MODEL

Row = dict[str, Any]
ANSWERS = ("label", "probability", "value")
CHOSEN = 0.5  # probability from which a label of a set is given
CHUNK = 1024  # rows held at once: enough to sort by length, little enough to stream


class Predictor:
    """A saved model that turns texts into labels with their probabilities.

    Args:
        folder: run directory, or a model folder itself.

    Raises:
        RunError: the folder holds no model.
    """

    def __init__(self, *, folder: Path, batch_size: int = 32) -> None:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        import llm_lab.models  # noqa: F401 - registers our own model classes with transformers

        source = folder / MODEL if (folder / MODEL).is_dir() else folder
        if not (source / "config.json").is_file():
            raise RunError(f"{folder} holds no model: there is no {source / 'config.json'}")
        self.facts: Mapping[str, Any] = json.loads((source / "llm_lab.json").read_text(encoding="utf-8"))
        nodes = self.facts.get("transforms") or {}
        self.transforms = build_all(nodes, expected=Transform, key="data.transforms")
        self.tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        model = AutoModelForSequenceClassification.from_pretrained(source, trust_remote_code=False)
        self.model = model.eval()
        self.batch_size = batch_size

    @property
    def columns(self) -> list[str]:
        """Names of the columns that made up a text in training."""
        names = self.facts.get("columns", {}).get("text", "text")
        return [names] if isinstance(names, str) else list(names)

    def text(self, row: Row, columns: list[str]) -> str:
        """The text of a raw row as training would have seen it, its transforms applied; empty where there is none."""
        parts = {name: str(row.get(name) or "").strip() for name in columns}
        if not all(parts.values()):
            return ""
        shaped = {**row, **parts, "text": "\n".join(parts.values()), "split": "test"}
        return str(apply(self.transforms, shaped, seed=(int(self.facts.get("seed", 0)), 0))["text"])

    @property
    def nothing(self) -> Row:
        """The answer to a row without text."""
        regression = self.model.config.problem_type == "regression"
        return {"value": ""} if regression else {"label": "", "probability": ""}

    def __call__(self, texts: list[str]) -> list[Row]:
        """Return label and probability per text, in the order of ``texts``."""
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        answers: list[Row] = [{}] * len(texts)
        for start in range(0, len(order), self.batch_size):
            indices = order[start : start + self.batch_size]
            for index, answer in zip(indices, self._batch([texts[i] for i in indices]), strict=True):
                answers[index] = answer
        return answers

    @torch.inference_mode()
    def _batch(self, texts: list[str]) -> Iterator[Row]:
        limit = int(self.facts["max_length"])
        inputs = self.tokenizer(texts, padding=True, truncation=True, max_length=limit, return_tensors="pt")
        logits = self.model(**inputs).logits.float()
        names = self.model.config.id2label
        for row in logits:
            yield _answer(row, names, self.model.config.problem_type)


def _answer(logits: torch.Tensor, names: Mapping[int, str], problem: str | None) -> Row:
    if problem == "regression":
        return {"value": round(float(logits[0]), 6)}
    if problem == "multi_label_classification":
        scores = logits.sigmoid().tolist()
        chosen = [(names[i], score) for i, score in enumerate(scores) if score >= CHOSEN]
        return {
            "label": "|".join(name for name, _ in chosen),
            "probability": "|".join(f"{score:.6f}" for _, score in chosen),
        }
    score, index = logits.softmax(-1).max(-1)
    return {"label": names[int(index)], "probability": round(float(score), 6)}


def predict(folder: Path, *, source: str, output: str = "-", column: str | None = None) -> int:
    """Stream rows from ``source`` (a CSV, TSV, JSONL or text file, ``-`` for standard input) to ``output``.

    Every row keeps its columns and gains ``label`` and ``probability`` (``value`` for regression); a column of
    such a name is kept as ``input_label`` and so on. JSONL in, JSONL out, everything else gives CSV. A row without
    text keeps its place with an empty label.
    """
    hush(log_file=False)
    predictor = Predictor(folder=folder)
    columns = [column] if column else predictor.columns
    rows = read_rows(source, column=columns[0])
    as_json = source.endswith((".jsonl", ".ndjson", ".json")) or output.endswith(".jsonl")
    with _opened(output) as stream:
        write = _json_writer(stream) if as_json else _csv_writer(stream)
        for chunk in _chunks(rows):
            write(_labelled(predictor, chunk, columns))
            stream.flush()
    return 0


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def _labelled(predictor: Predictor, rows: list[Row], columns: list[str]) -> Iterator[Row]:
    texts = [predictor.text(row, columns) for row in rows]
    answers = iter(predictor([text for text in texts if text]))
    for row, text in zip(rows, texts, strict=True):
        kept = {
            f"input_{key}" if key in ANSWERS and key not in columns else key: value
            for key, value in row.items()
        }
        yield kept | (next(answers) if text else predictor.nothing)


def _json_writer(stream: TextIO) -> Callable[[Iterable[Row]], None]:
    def write(rows: Iterable[Row]) -> None:
        stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

    return write


def _csv_writer(stream: TextIO) -> Callable[[Iterable[Row]], None]:
    writer: csv.DictWriter[str] | None = None

    def write(rows: Iterable[Row]) -> None:
        nonlocal writer
        for row in rows:
            if writer is None:
                writer = csv.DictWriter(stream, fieldnames=list(row), extrasaction="ignore", restval="")
                writer.writeheader()
            writer.writerow({key: escape_cell(str(value)) for key, value in row.items()})

    return write


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
        raise ConfigError("predict needs --input FILE (CSV, TSV, JSONL or text; - is standard input)")
    output, column = str(words.flags.get("output", "-")), words.flags.get("column")
    folder = Path(words.positionals[0])
    return predict(folder, source=str(source), output=output, column=str(column) if column else None)
