"""One of several texts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from llm_lab.data.choice_rows import choices_of
from llm_lab.data.choice_table import stack, tokenized
from llm_lab.data.record import UnusableError
from llm_lab.models.heads import Head
from llm_lab.predictors.predictor import Predictor, Row
from llm_lab.tasks.segments import without_foreign_types


class Chooser(Predictor):
    """``label``, a number from 0, ``choice``, its text, and ``probability``; empty for a row that is none."""

    head = Head.MULTIPLE_CHOICE
    answers = ("label", "choice", "probability")

    @torch.inference_mode()
    def answer(self, rows: list[Row]) -> Iterator[Row]:
        """Yield an answer per row."""
        for row in rows:
            text = self.text(row)
            try:
                choices = choices_of(row, self.facts["columns"]["choices"])
            except UnusableError:
                choices = ()
            yield self._chosen(text, choices) if text and choices else dict.fromkeys(self.answers, "")

    def _chosen(self, text: str, choices: tuple[str, ...]) -> Row:
        told = tokenized(text, choices, self.tokenizer, max_length=int(self.facts["max_length"]))
        ids, types = ([[np.array(choice, np.int32) for choice in part]] for part in told)
        inputs = stack(ids, types, pad_id=self.tokenizer.pad_token_id or 0)
        logits = self.model(**without_foreign_types(inputs, self.model)).logits[0].float()
        score, label = logits.softmax(-1).max(-1)
        return {"label": int(label), "choice": choices[int(label)], "probability": round(float(score), 6)}
