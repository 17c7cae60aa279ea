"""How well a language model foresees texts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from llm_lab.errors import RunError
from llm_lab.models.heads import Head
from llm_lab.predictors.predictor import Predictor, Row
from llm_lab.tasks.masking import Rates, hide
from llm_lab.tasks.vocabulary import Vocabulary

RATES = Rates(0.15, 1.0, 0.0)
HEADS = {"CausalLM": Head.CAUSAL_LM, "MaskedLM": Head.MASKED_LM, "NextSentence": Head.MASKED_LM}


class LanguageScorer(Predictor):
    """``tokens``, ``nats_per_token`` and ``perplexity`` of a text; empty for one of fewer than two tokens.

    Of a causal model over all tokens but the first; of a masked one over hidden tokens, 15 % of each text, the same
    ones every time. A text longer than the model takes is cut there.

    Raises:
        RunError: the model foresees no text: it was trained for something else.
    """

    vocabulary: Vocabulary | None = None  # of a masked model
    answers = ("tokens", "nats_per_token", "perplexity")

    def load(self, folder: Path) -> Any:
        """The model under the head that it was trained with."""
        task = str(self.facts["task"])
        if task not in HEADS:
            raise RunError(
                f"{folder}: a model of {task} gives texts no probability; those of {', '.join(HEADS)} do"
            )
        if HEADS[task] is Head.MASKED_LM:
            self.vocabulary = Vocabulary(folder)
        return HEADS[task].auto_class.from_pretrained(folder, trust_remote_code=False)

    def answer(self, rows: list[Row]) -> Iterator[Row]:
        """An answer per row."""
        texts = [self.text(row) for row in rows]
        nothing: Row = dict.fromkeys(self.answers, "")
        return self.by_text(texts, lambda some: self._batch([texts[i] for i in some]), nothing)

    @torch.inference_mode()
    def _batch(self, texts: list[str]) -> Iterator[Row]:
        limit = int(self.facts["max_length"])
        inputs = self.tokenizer(texts, padding=True, truncation=True, max_length=limit, return_tensors="pt")
        inputs = {name: inputs[name] for name in ("input_ids", "attention_mask")}
        inputs, targets = self._causal(inputs) if self.vocabulary is None else self._masked(inputs)
        logits = self.model(**inputs).logits.float()
        losses = F.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
        for loss, count in zip(
            losses.double().sum(dim=1).tolist(), (targets >= 0).sum(dim=1).tolist(), strict=True
        ):
            yield _answer(loss, count)

    def _causal(self, inputs: Mapping[str, Tensor]) -> tuple[Mapping[str, Tensor], Tensor]:
        tokens, mask = inputs["input_ids"], inputs["attention_mask"]
        targets = F.pad(tokens.masked_fill(mask == 0, -100)[:, 1:], (0, 1), value=-100)
        return inputs, targets

    def _masked(self, inputs: Mapping[str, Tensor]) -> tuple[Mapping[str, Tensor], Tensor]:
        tokens = inputs["input_ids"]
        rows = torch.zeros(
            len(tokens), dtype=torch.int64
        )  # the same positions whatever the text stands beside
        changed, hidden = hide(
            tokens,
            rows,
            cast("Vocabulary", self.vocabulary),
            rates=RATES,
            whole_words=False,
            seed=0,
            epoch=-1,
        )
        return {**inputs, "input_ids": changed}, tokens.masked_fill(~hidden, -100)


def _answer(loss: float, count: int) -> Row:
    if not count:
        return {"tokens": 0, "nats_per_token": "", "perplexity": ""}
    mean = loss / count
    return {
        "tokens": count,
        "nats_per_token": round(mean, 6),
        "perplexity": round(math.exp(min(mean, 700)), 4),
    }
