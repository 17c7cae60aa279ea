"""Texts for sounds, or for whatever a model reads that writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from llm_lab.data.multimodal.transcripts import end_of
from llm_lab.models.heads import Head
from llm_lab.predictors.manifest import ManifestClassifier
from llm_lab.predictors.predictor import Predictor, Row
from llm_lab.tasks.speech_recognition import written
from llm_lab.tasks.speech_to_text import decoded


class Transcriber(ManifestClassifier):
    """``text``; for a row that cannot be used ``problem`` says why."""

    head = Head.CTC
    answers: ClassVar[tuple[str, ...]] = ("text", "problem")

    def load_tokenizer(self, folder: Any) -> Any:
        """The tokenizer beside the model, which writes with it."""
        return Predictor.load_tokenizer(self, folder)

    @property
    def _nothing(self) -> Row:
        return {"text": ""}

    def _outputs(self, batch: dict[str, torch.Tensor]) -> Any:
        none = self.tokenizer.pad_token_id
        return written(self.model(**batch).logits.float(), self.tokenizer, none=none, beams=self._beams)

    @property
    def _beams(self) -> int:
        return int(self.model.config.decoder.get("beams", 1))

    def _said(self, output: Any, cells: Mapping[str, Any]) -> Row:
        return {"text": output}


class Writer(Transcriber):
    """The same, token by token."""

    head = Head.SPEECH_TO_TEXT

    def _outputs(self, batch: dict[str, torch.Tensor]) -> Any:
        return decoded(
            self.model.generate(num_beams=self._beams, **batch), self.tokenizer, end=end_of(self.tokenizer)
        )


class Captioner(Writer):
    """The same by a causal language model."""

    head = Head.CAUSAL_LM
