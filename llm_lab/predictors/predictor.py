"""What all predictors share: the saved model, rows in, answers out."""

from __future__ import annotations

import csv
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, TextIO

import llm_lab.models  # noqa: F401 - registers our own model classes with transformers
from llm_lab.config import build_all
from llm_lab.config.secrets import escape_cell
from llm_lab.data.annotations import Annotation, Annotator, Beside
from llm_lab.data.predict_input import JSON, read_rows
from llm_lab.data.source_data import TRANSFORMS
from llm_lab.data.transforms import Transform, apply
from llm_lab.models.adapted import attach, base_of
from llm_lab.models.heads import Head

Row = dict[str, Any]
FACTS, MODEL = "llm_lab.json", "model"
CHUNK = 1024  # rows held at once: enough to sort by length, little enough to stream


class Predictor(ABC):
    """A saved model that says something of every row.

    Args:
        folder: the model folder.
        facts: its ``llm_lab.json``.
        batch_size: rows that go through the model together.
    """

    head: ClassVar[Head]
    answers: ClassVar[tuple[str, ...]] = ()
    """Names of what is added to a row; a column of such a name is kept as ``input_NAME``."""

    def __init__(self, *, folder: Path, facts: Mapping[str, Any], batch_size: int = 32) -> None:
        self.facts, self.batch_size = facts, batch_size
        nodes = facts.get("transforms") or {}
        self.transforms = build_all(nodes, expected=Transform, key="data.transforms")
        for name, one in self.transforms.items():
            if isinstance(one, Annotator):
                one.load(folder / TRANSFORMS / name)
        self.beside = Beside.of(self.transforms)
        self.tokenizer = self.load_tokenizer(folder)
        self.model = self.load(folder).eval()

    def load_tokenizer(self, folder: Path) -> Any:
        """The tokenizer beside the model."""
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)

    def load(self, folder: Path) -> Any:
        """The model with its head."""
        model = self.head.auto_class.from_pretrained(base_of(folder), trust_remote_code=False)
        return attach(model, folder)

    @abstractmethod
    def answer(self, rows: list[Row]) -> Iterator[Row]:
        """Yield for each row, in their order, what is added to it."""

    def read(self, source: str, column: str | None) -> Iterator[Row]:
        """Yield the rows of a file; ``column`` holds the text where it is not called as in training."""
        if column:
            self.facts = {**self.facts, "columns": {**self.facts.get("columns", {}), "text": [column]}}
        return read_rows(source, column=self.columns[0])

    def write(self, rows: Iterator[Row], stream: TextIO, suffix: str) -> None:
        """Write answered rows as they come: JSON lines, or CSV in which no cell runs as a formula.

        Args:
            rows: what `answered` gives.
            stream: a text file.
            suffix: of the output's name, such as ``.csv``; that of the input where it is JSON and the output has none.
        """
        if suffix in JSON:
            stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            return
        writer: csv.DictWriter[str] | None = None
        for row in rows:
            if writer is None:
                writer = csv.DictWriter(stream, fieldnames=list(row), extrasaction="ignore", restval="")
                writer.writeheader()
            writer.writerow({key: escape_cell(str(value)) for key, value in row.items()})

    def answered(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield the rows with what is added to them, a chunk at a time."""
        iterator = iter(rows)
        while chunk := list(islice(iterator, CHUNK)):
            for row, answer in zip(chunk, self.answer(chunk), strict=True):
                yield {self._kept(key): value for key, value in row.items()} | answer

    def _kept(self, key: str) -> str:
        return f"input_{key}" if key in self.answers and key not in self.columns else key

    @property
    def columns(self) -> list[str]:
        """Names of the columns that made up a text in training."""
        names = self.facts.get("columns", {}).get("text", "text")
        return [names] if isinstance(names, str) else list(names)

    def text(self, row: Row) -> str:
        """The text of a raw row as training would have seen it, its transforms applied; empty where there is none."""
        parts = {name: str(row.get(name) or "").strip() for name in self.columns}
        if not all(parts.values()):
            return ""
        return self.transformed({**row, **parts, "text": "\n".join(parts.values())})

    def transformed(self, row: Row) -> str:
        """The ``text`` of a row after the transforms of training, chance among them left out."""
        shaped = {**row, "split": "test"}
        return str(apply(self.transforms, shaped, seed=(int(self.facts.get("seed", 0)), 0))["text"])

    def annotations(self, **texts: str) -> list[Annotation]:
        """What annotators say of texts that all other transforms have seen."""
        last = {name: one for name, one in self.transforms.items() if isinstance(one, Annotator)}
        return list(apply(last, {**texts, "split": "test"}, seed=(0, 0)).get("annotations", []))

    def by_text(
        self, texts: list[str], batch: Callable[[list[int]], Iterable[Row]], nothing: Row
    ) -> Iterator[Row]:
        """Yield in order what ``batch`` says of the texts of these numbers, ``nothing`` of an empty one."""
        found: dict[int, Row] = {}
        for indices in self.by_length(texts):
            found |= zip(indices, batch(indices), strict=True)
        for index in range(len(texts)):
            yield found.get(index, nothing)

    def by_length(self, texts: list[str]) -> Iterator[list[int]]:
        """Yield numbers of texts that are about as long, a batch at a time; empty ones are left out."""
        order = sorted((i for i, text in enumerate(texts) if text), key=lambda index: len(texts[index]))
        for start in range(0, len(order), self.batch_size):
            yield order[start : start + self.batch_size]
