"""Exact match and F1 of answers, by the rules of SQuAD and of CMRC 2018."""

from __future__ import annotations

import re
import string
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection

from llm_lab.tasks.metrics import collection

Rules = Literal["squad", "cmrc2018"]
ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)
CHINESE_PUNCTUATION = str.maketrans("", "", "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
SEGMENT = re.compile(r"[\u4e00-\u9fa5]|\d+(?:[.,]\d+)*|[^\W\u4e00-\u9fa5]+|[^\w\s]")


def normalised(text: str, rules: Rules) -> str:
    """Without case and punctuation, and for SQuAD without articles and runs of white space."""
    if rules == "cmrc2018":
        return text.lower().strip().translate(CHINESE_PUNCTUATION)
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def segments(text: str, rules: Rules) -> list[str]:
    """What is compared: words, and for CMRC 2018 Chinese characters and words of other scripts."""
    plain = normalised(text, rules)
    return SEGMENT.findall(plain) if rules == "cmrc2018" else plain.split()


def exact_match(given: str, wanted: str, rules: Rules) -> float:
    """Whether the two are the same text."""
    return float(normalised(given, rules) == normalised(wanted, rules))


def overlap(given: str, wanted: str, rules: Rules) -> float:
    """F1 of what the two share.

    For SQuAD (Rajpurkar et al. 2016, https://arxiv.org/abs/1606.05250) they share a bag of words; where either is
    empty, the other must be. For CMRC 2018 (Cui et al. 2019, https://arxiv.org/abs/1810.07366) they share the longest
    unbroken run of segments.
    """
    ours, theirs = segments(given, rules), segments(wanted, rules)
    if rules == "cmrc2018":
        same = SequenceMatcher(None, ours, theirs, autojunk=False).find_longest_match().size
    elif not ours or not theirs:
        return float(ours == theirs)
    else:
        same = (Counter(ours) & Counter(theirs)).total()
    return 2 * same / (len(ours) + len(theirs)) if same else 0.0


def best_windows(question: Tensor, score: Tensor, null: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of each question the window that answers it best.

    Args:
        question: number of each window's question, [N].
        score: of the best span of each window, [N].
        null: score of no answer, [N]; a question's is the lowest of its windows.

    Returns:
        Questions in order, their windows, and whether they have rather no answer: [Q] each.
    """
    asked, scores = question.numpy(), score.numpy()
    _, group = np.unique(asked, return_inverse=True)
    chosen = np.empty(group.max(initial=-1) + 1, np.int64)
    order = np.argsort(scores, kind="stable")
    chosen[group[order]] = order  # of each question the last one stays
    lowest = np.full(len(chosen), np.inf, np.float32)
    np.minimum.at(lowest, group, null.numpy())
    windows = torch.from_numpy(chosen)
    return question[windows], windows, torch.from_numpy(lowest > scores[chosen])


class OfQuestions(Metric):
    """The mean over questions of how good the answer of the best of their windows is, from 0 to 1.

    Args:
        rules: of which challenge.
    """

    full_state_update = False
    question: list[Tensor]
    score: list[Tensor]
    null: list[Tensor]
    value: list[Tensor]
    silence: list[Tensor]

    def __init__(self, *, rules: Rules = "squad") -> None:
        super().__init__(compute_on_cpu=True)
        self.rules = rules
        for name in ("question", "score", "null", "value", "silence"):
            self.add_state(name, default=[], dist_reduce_fx="cat")

    @abstractmethod
    def compare(self, given: str, wanted: str) -> float:
        """How good an answer is beside one that is right."""

    def update(
        self,
        question: Tensor,
        score: Tensor,
        null: Tensor,
        texts: Sequence[str],
        answers: Sequence[Sequence[str]],
    ) -> None:
        """Add windows.

        Args:
            question: number of the question, [N].
            score: of the window's best span, [N].
            null: of no answer, [N]; minus infinity where there is always one.
            texts: the best span of each window.
            answers: those that are right; none where silence is.
        """
        values = [
            max(self.compare(text, one) for one in right or [""])
            for text, right in zip(texts, answers, strict=True)
        ]
        self.question.append(question)
        self.score.append(score)
        self.null.append(null)
        self.value.append(torch.tensor(values, device=score.device))
        self.silence.append(torch.tensor([float(not right) for right in answers], device=score.device))

    def compute(self) -> Tensor:
        """The mean over all questions of all ranks."""
        return self.each().mean()

    def each(self) -> Tensor:
        """The value of each question [Q], in their order."""
        names = ("question", "score", "null", "value", "silence")
        question, score, null, value, silence = (_joined(getattr(self, name)) for name in names)
        _, chosen, silent = best_windows(question, score, null)
        return torch.where(silent, silence[chosen], value[chosen])


class ExactMatch(OfQuestions):
    """Share of the answers that are one of the right ones, letter by letter after normalisation."""

    def compare(self, given: str, wanted: str) -> float:
        """1 or 0."""
        return exact_match(given, wanted, self.rules)


class F1(OfQuestions):
    """How much answers and the nearest right ones overlap."""

    def compare(self, given: str, wanted: str) -> float:
        """From 0 to 1."""
        return overlap(given, wanted, self.rules)


def answer_metrics(nodes: Mapping[str, Any]) -> MetricCollection:
    """The metrics of a mapping name -> node; torchmetrics would share the states of those that begin equal."""
    return collection(nodes, OfQuestions)


def _joined(parts: list[Tensor] | Tensor) -> Tensor:
    return (parts if isinstance(parts, Tensor) else torch.cat(parts)).cpu()
