"""The only thing that data tells a task."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Problem = Literal[
    "single_label",
    "multi_label",
    "regression",
    "tokens",
    "span",
    "choice",
    "pairs",
    "language",
    "triples",
    "entities",
    "modalities",
    "transcript",
]
Split = Literal["train", "val", "test"]
MASK, PRESENT = "_mask", "_present"  # behind an input's name: which of its tokens count, in which rows it is
ID = "_id"  # the number of its content
KEY = "_key"  # the same, only where the content is no random variant: what was made of it once may be taken again
SAME = "same"  # number of what rows have in common that makes their inputs belong together; -1 for a row by itself


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """Labels, sizes, modalities and tokenizer of a prepared data set.

    Attributes:
        problem: what a target is: one label, a set of labels, a number, a label per word (``tokens``), an answer in
            a context (``span``), one text of several (``choice``), the text that belongs to another (``pairs``),
            text itself (``language``), an entity that completes a triple of a graph (``triples``), the entities
            that answer a question (``entities``), the other inputs of a row (``modalities``), or a text to be written
            (``transcript``).
        labels: label names in the order of the model's outputs; one name (the column) for regression, none where
            a target is no label.
        sizes: rows per split, for the splits that exist (``train``, ``val``, ``test``).
        class_counts: training rows per label, in the order of ``labels``; empty for regression.
        modalities: the kinds of input columns, e.g. ``("text",)``.
        inputs: of data with several kinds of columns, by name: ``kind``, sizes, and what rebuilds the kind.
        tokenizer: folder of a saved Hugging Face tokenizer; not there where the data are no text.
        max_length: longest row in tokens after truncation.
        fingerprint: content hash of the prepared data: sources, columns, splits, transforms, tokenizer.
        folder: where the prepared data lie, for what a task needs beyond its batches: the triples of a graph.
        summary: plain facts for the report: duplicates, leaks, rejected rows, licence, token counts.
    """

    problem: Problem
    labels: tuple[str, ...]
    sizes: Mapping[str, int]
    class_counts: tuple[int, ...] = ()
    modalities: tuple[str, ...] = ("text",)
    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tokenizer: Path
    max_length: int
    fingerprint: str
    folder: Path = Path()
    summary: Mapping[str, Any] = field(default_factory=dict)

    @property
    def outputs(self) -> int:
        """Width of a classifier's last layer: the number of labels, 1 for regression."""
        return 1 if self.problem == "regression" else len(self.labels)


def tensor_names(inputs: Iterable[str]) -> Iterator[str]:
    """Names of all tensors that batches may hold of these inputs."""
    for name in inputs:
        yield from (name, f"{name}{MASK}", f"{name}{PRESENT}")
