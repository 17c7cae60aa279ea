"""Labels and numbers for texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch

from llm_lab.data.arrow import IDS
from llm_lab.data.collate import pad, pad_column
from llm_lab.data.woven import encode_woven
from llm_lab.models.heads import Head
from llm_lab.predictors.predictor import Predictor, Row
from llm_lab.tasks.segments import without_foreign_types

CHOSEN = 0.5  # probability from which a label of a set is given


class Classifier(Predictor):
    """``label`` and ``probability``, or ``value`` of a regression; empty for a row without text."""

    head = Head.SEQUENCE_CLASSIFICATION
    answers = ("label", "probability", "value")

    def answer(self, rows: list[Row]) -> Iterator[Row]:
        """An answer per row."""
        second = self.facts.get("columns", {}).get("pair")
        texts = [
            self.text(row) if second is None or str(row.get(second) or "").strip() else "" for row in rows
        ]

        def batch(some: list[int]) -> Iterator[Row]:
            return self._batch([texts[i] for i in some], [rows[i] for i in some])

        return self.by_text(texts, batch, self._nothing)

    @property
    def _nothing(self) -> Row:
        regression = self.model.config.problem_type == "regression"
        return {"value": ""} if regression else {"label": "", "probability": ""}

    @torch.inference_mode()
    def _batch(self, texts: list[str], rows: list[Row]) -> Iterator[Row]:
        second = self.facts.get("columns", {}).get("pair")
        pairs = None if second is None else [str(row[second]).strip() for row in rows]
        both = [texts] if pairs is None else [texts, pairs]
        limit = int(self.facts["max_length"])
        inputs = (
            self._woven(texts, pairs, limit)
            if self.beside.there
            else self.tokenizer(*both, padding=True, truncation=True, max_length=limit, return_tensors="pt")
        )
        names = self.model.config.id2label
        for row in self.model(**inputs).logits.float():
            yield answer_of(row, names, self.model.config.problem_type)

    def _woven(self, texts: list[str], pairs: list[str] | None, limit: int) -> dict[str, torch.Tensor]:
        """What the model gets where something is known about the texts."""
        both = zip(texts, pairs or [""] * len(texts), strict=True)
        known = [self.annotations(text=text, pair=pair) for text, pair in both]
        columns = encode_woven(texts, pairs, known, self.tokenizer, max_length=limit, beside=self.beside)
        cells = {name: [np.array(row, np.int32) for row in rows] for name, rows in columns.items()}
        inputs = pad(cells.pop(IDS), pad_id=self.tokenizer.pad_token_id or 0)
        like = inputs[IDS]
        inputs |= {name: pad_column(rows, like=like, fill=0) for name, rows in cells.items()}
        return without_foreign_types(inputs, self.model)


def answer_of(logits: torch.Tensor, names: Mapping[int, str], problem: str | None) -> Row:
    """What is said of a row, from its logits [C]."""
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
