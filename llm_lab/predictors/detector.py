"""Which tokens of a text look as if somebody had replaced them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from llm_lab.models.heads import Head
from llm_lab.predictors.predictor import Predictor, Row


class Detector(Predictor):
    """``tokens``, ``replaced`` (the mean probability that a token is not the original) and ``oddest`` (the token with
    the highest); empty for a row without text. Special tokens do not count; a text longer than in training is cut.
    """

    head = Head.PRETRAINING
    answers = ("tokens", "replaced", "oddest")

    def answer(self, rows: list[Row]) -> Iterator[Row]:
        """An answer per row."""
        texts = [self.text(row) for row in rows]
        nothing: Row = dict.fromkeys(self.answers, "")
        return self.by_text(texts, lambda some: self._batch([texts[i] for i in some]), nothing)

    @torch.inference_mode()
    def _batch(self, texts: list[str]) -> Iterator[Row]:
        limit: dict[str, Any] = {"truncation": True, "max_length": int(self.facts["max_length"])}
        inputs = self.tokenizer(
            texts, padding=True, return_tensors="pt", return_special_tokens_mask=True, **limit
        )
        ordinary = inputs.pop("special_tokens_mask") == 0
        scores = self.model(**inputs).logits.float().sigmoid().masked_fill(~ordinary, -1)
        for ids, row, kept in zip(inputs["input_ids"], scores, ordinary, strict=True):
            count = int(kept.sum())
            if not count:
                yield dict.fromkeys(self.answers, "")
                continue
            odd = self.tokenizer.convert_ids_to_tokens(int(ids[row.argmax()]))
            yield {"tokens": count, "replaced": round(float(row[kept].mean()), 6), "oddest": odd}
