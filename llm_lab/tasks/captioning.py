"""A text about what towers see, by a causal language model that goes on from them."""

from __future__ import annotations

from llm_lab.models.heads import Head
from llm_lab.tasks.speech_to_text import SpeechToText


class Captioning(SpeechToText):
    """Cross-entropy of each token behind a prefix of the inputs, see `llm_lab.models.fusion.captioner`.

    Its arguments are those of `SpeechToText`.
    """

    head = Head.CAUSAL_LM
