"""Which of transformers' classes puts the head on a backbone that a task asks for."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import transformers


class Head(StrEnum):
    """The heads, with the class that chooses by the architecture."""

    SEQUENCE_CLASSIFICATION = "AutoModelForSequenceClassification"
    TOKEN_CLASSIFICATION = "AutoModelForTokenClassification"  # noqa: S105 - no password
    QUESTION_ANSWERING = "AutoModelForQuestionAnswering"
    MULTIPLE_CHOICE = "AutoModelForMultipleChoice"
    MASKED_LM = "AutoModelForMaskedLM"
    PRETRAINING = "AutoModelForPreTraining"
    CAUSAL_LM = "AutoModelForCausalLM"
    SEQ2SEQ_LM = "AutoModelForSeq2SeqLM"
    CTC = "AutoModelForCTC"
    SPEECH_TO_TEXT = "AutoModelForSpeechSeq2Seq"
    ENCODER = "AutoModel"

    @property
    def auto_class(self) -> Any:
        """The class of transformers."""
        return getattr(transformers, self.value)
