"""What stood where a text has sentinels."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import torch

from llm_lab.models.heads import Head
from llm_lab.predictors.predictor import Predictor, Row
from llm_lab.tasks.span_corruption import SENTINEL


class Filler(Predictor):
    """``filled``: the text with what the model puts in place of ``<extra_id_0>``, ``<extra_id_1>`` and so on.

    The likeliest token each time (greedy); nothing where the model says nothing of a sentinel. A text without
    sentinels stays, as does a sentinel that the tokenizer does not have. A text longer than the model was trained
    on is read up to there.
    """

    head = Head.SEQ2SEQ_LM
    answers = ("filled",)

    @cached_property
    def sentinels(self) -> dict[int, str]:
        """Names by number."""
        return {
            number: name for name, number in self.tokenizer.get_vocab().items() if SENTINEL.fullmatch(name)
        }

    def answer(self, rows: list[Row]) -> Iterator[Row]:
        """Yield an answer per row."""
        texts = [self.text(row) for row in rows]
        asked = [text if SENTINEL.search(text) else "" for text in texts]
        answers = self.by_text(asked, lambda some: self._batch([texts[i] for i in some]), {})
        for text, answer in zip(texts, answers, strict=True):
            yield answer or {"filled": text}

    @torch.inference_mode()
    def _batch(self, texts: list[str]) -> Iterator[Row]:
        limit = int(self.facts["max_length"])
        inputs = self.tokenizer(texts, padding=True, truncation=True, max_length=limit, return_tensors="pt")
        written = self.model.generate(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            do_sample=False,
            num_beams=1,
            max_new_tokens=limit,
            eos_token_id=self._end,
            pad_token_id=self.tokenizer.pad_token_id,
        )
        for text, tokens in zip(texts, written.tolist(), strict=True):
            yield {"filled": _filled(text, self._spans(tokens))}

    @property
    def _end(self) -> int:
        """The token that training put behind the last span."""
        end = self.tokenizer.eos_token_id
        return int(self.tokenizer.sep_token_id if end is None else end)

    def _spans(self, tokens: list[int]) -> dict[str, str]:
        """The text behind each sentinel, up to the next one or the end; of one that comes twice the first."""
        parts: dict[str, list[int]] = {}
        part: list[int] = []
        for token in tokens:
            if token == self._end:
                break
            if token in self.sentinels:
                part = []
                parts.setdefault(self.sentinels[token], part)
            else:
                part.append(token)
        texts = {
            name: self.tokenizer.decode(part, skip_special_tokens=True).strip()
            for name, part in parts.items()
        }
        return dict.fromkeys(self.sentinels.values(), "") | texts


def _filled(text: str, spans: dict[str, str]) -> str:
    return SENTINEL.sub(lambda found: spans.get(found[0], found[0]), text)
