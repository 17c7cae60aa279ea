"""Answers by shared words: what a reader has to beat that has learned nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from llm_lab.baselines.baseline import Baseline, Row, Source
from llm_lab.data.spec import DataSpec, Split
from llm_lab.tasks.metrics import collection
from llm_lab.tasks.squad_metrics import answer_metrics

WORD = re.compile(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+")


class Overlap(Baseline):
    """A sliding window of words (Richardson et al. 2013, https://aclanthology.org/D13-1020).

    The answer is the span whose surroundings share the rarest words with the question, itself holding none of them,
    and as long as the median answer of the training rows. A Chinese character counts as a word.

    Args:
        window: words that count as surroundings, on each side.
    """

    def __init__(self, *, window: int = 10) -> None:
        self.window = window

    def evaluate(
        self, data: Source, *, spec: DataSpec, metrics: Mapping[str, Any], split: Split
    ) -> dict[str, float]:
        """The values of the task's metrics."""
        length = _median_length(data.rows("train"))
        collection = answer_metrics(metrics)
        for row in data.rows(split):
            text = self.answer(row["question"], row["context"], length)
            collection.update(
                torch.tensor([row["index"]]),
                torch.zeros(1),
                torch.full((1,), -torch.inf),
                [text],
                [row["answers"]],
            )
        return {name: float(value) for name, value in collection.compute().items()}

    def answer(self, question: str, context: str, length: int) -> str:
        """The best span of ``length`` words."""
        words = list(WORD.finditer(context))
        if not words:
            return ""
        names = [word[0].lower() for word in words]
        counts, asked = Counter(names), set(WORD.findall(question.lower()))
        shared = np.array([np.log1p(1 / counts[name]) if name in asked else 0.0 for name in names])
        near = np.convolve(shared, np.ones(2 * self.window + 1))[self.window :][: len(words)]
        worth = np.where(shared > 0, -1.0, near)
        length = min(length, len(words))
        start = int(np.argmax(np.convolve(worth, np.ones(length), mode="valid")))
        return context[words[start].start() : words[start + length - 1].end()]


def _median_length(rows: Iterable[Row]) -> int:
    lengths = [len(WORD.findall(row["answers"][0])) for row in rows if row["answers"]]
    return max(1, int(np.median(lengths))) if lengths else 1


class ChoiceOverlap(Baseline):
    """The choice that shares most of its words with the text; the first of those that do so equally."""

    def evaluate(
        self, data: Source, *, spec: DataSpec, metrics: Mapping[str, Any], split: Split
    ) -> dict[str, float]:
        """The values of the task's metrics."""
        scores = collection(metrics)
        for row in data.rows(split):
            asked = set(WORD.findall(row["text"].lower()))
            words = [set(WORD.findall(choice.lower())) for choice in row["choices"]]
            shares = [len(some & asked) / max(1, len(some)) for some in words]
            scores.update(torch.tensor([shares]), torch.tensor([row["label"]]))
        return {name: float(value) for name, value in scores.compute().items()}
