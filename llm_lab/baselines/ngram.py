"""Counts of tokens and of pairs of tokens: what a language model has to beat."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from transformers import AutoTokenizer

from llm_lab.baselines.baseline import Baseline, Row, Source
from llm_lab.data.spec import DataSpec, Split

Tokens = NDArray[np.int64]
WEIGHTS = np.linspace(0.05, 0.95, 19)  # of the pairs, tried on the last tenth of the training tokens
HELD_OUT = 0.1


class NGram(Baseline):
    """Nats per token of counts over the same tokens as the model's; a row is a document with its ``text``.

    One token (``n`` 1, each count one higher than it is, Laplace) or, interpolated with that, the one before it
    as well (``n`` 2; Jelinek and Mercer 1980), the weight chosen on the end of the training rows. Of a document
    the first token is context only, in both, as for a causal model.

    Args:
        n: 1 or 2.
    """

    def __init__(self, *, n: Literal[1, 2]) -> None:
        self.n = n

    def evaluate(
        self, data: Source, *, spec: DataSpec, metrics: Mapping[str, Any], split: Split
    ) -> dict[str, float]:
        """``loss`` in nats per token and ``perplexity`` on a split."""
        tokenizer = AutoTokenizer.from_pretrained(spec.tokenizer)
        before, after = _pairs(data.rows("train"), tokenizer)
        size = 1 + int(max(before.max(initial=0), after.max(initial=0)))
        asked = _pairs(data.rows(split), tokenizer)
        size = max(size, 1 + int(max(part.max(initial=0) for part in asked)))
        loss = float(-np.log(self._probabilities(before, after, asked, size)).mean())
        return {"loss": loss, "perplexity": float(np.exp(loss))}

    def _probabilities(
        self, before: Tokens, after: Tokens, asked: tuple[Tokens, Tokens], size: int
    ) -> NDArray[np.float64]:
        if self.n == 1:
            return _unigram(after, size)[asked[1]]
        end = int(len(after) * (1 - HELD_OUT))
        held = (before[end:], after[end:])
        one, two = _unigram(after[:end], size)[held[1]], _bigram(before[:end], after[:end], size, held)
        best = WEIGHTS[int(np.argmax([np.log((1 - w) * one + w * two).sum() for w in WEIGHTS]))]
        one, two = _unigram(after, size)[asked[1]], _bigram(before, after, size, asked)
        return (1 - best) * one + best * two


def _pairs(rows: Iterable[Row], tokenizer: Any) -> tuple[Tokens, Tokens]:
    """Every token but the first of a document with the one before it, [N] each."""
    none = np.zeros(0, np.int64)
    parts = [np.asarray(tokenizer(row["text"], verbose=False)["input_ids"], np.int64) for row in rows]
    return np.concatenate([none, *(part[:-1] for part in parts)]), np.concatenate(
        [none, *(part[1:] for part in parts)]
    )


def _unigram(tokens: Tokens, size: int) -> NDArray[np.float64]:
    counts = np.bincount(tokens, minlength=size) + 1.0
    return counts / counts.sum()


def _bigram(before: Tokens, after: Tokens, size: int, asked: tuple[Tokens, Tokens]) -> NDArray[np.float64]:
    counts: csr_matrix = coo_matrix(
        (np.ones(len(before)), (before, after)), shape=(size, size)
    ).tocsr()  # adds pairs up
    totals = np.bincount(before, minlength=size)
    return np.asarray(counts[asked[0], asked[1]]).ravel() / np.maximum(totals[asked[0]], 1)
