"""The text of a sound, or of any inputs, token by token."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from llm_lab.data.multimodal.transcripts import IGNORED
from llm_lab.models.fusion.transcribing import FusionForSpeechSeq2Seq
from llm_lab.models.heads import Head
from llm_lab.tasks.language import nats
from llm_lab.tasks.task import Batch
from llm_lab.tasks.transcription import Transcription


class SpeechToText(Transcription):
    """Cross-entropy of each token of the text and of its end, given those before it and what is heard."""

    head = Head.SPEECH_TO_TEXT

    def inputs(self, batch: Batch) -> dict[str, Any]:
        """The inputs, and the tokens before each target; the end stands before the first."""
        return {**super().inputs(batch), "decoder_input_ids": self._before(batch)}

    def _before(self, batch: Batch) -> Tensor:
        first = next(iter(super().inputs(batch).values()))
        before = batch["labels"].new_full((len(first), max(1, batch["labels"].shape[1])), self.end)
        known = batch["labels"][:, :-1]
        before[: len(known), 1 : known.shape[1] + 1] = known.masked_fill(known == IGNORED, self.end)
        return before

    def counted(self, model: Any, inputs: Batch) -> Any:
        """Towers and decoder over texts as long as the longest of training."""
        first = next(iter(inputs.values()))
        length = int(self.spec.summary.get("longest_target", 1))
        before = torch.zeros(len(first), length, dtype=torch.long, device=first.device)
        return super().counted(lambda **known: model(decoder_input_ids=before, **known), inputs)

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Nats [N] of the targets, from logits [B, U, V]."""
        return nats(outputs, batch["labels"][: len(outputs)])

    def texts(self, outputs: Tensor, batch: Batch) -> list[str]:
        """See `Transcription`; not of the outputs, which saw the truth."""
        network = cast("FusionForSpeechSeq2Seq", self.network())
        tokens = network.generate(num_beams=self.beams, in_step=self.in_parts, **super().inputs(batch))
        tokens = tokens[: len(outputs)]
        return decoded(tokens, self.tokenizer, end=self.end)


def decoded(tokens: Tensor, tokenizer: Any, *, end: int) -> list[str]:
    """Texts of tokens [B, U], each up to its end."""
    texts = []
    for row in tokens.tolist():
        told = row[: row.index(end)] if end in row else row
        texts.append(" ".join(tokenizer.decode(told, skip_special_tokens=True).split()))
    return texts
