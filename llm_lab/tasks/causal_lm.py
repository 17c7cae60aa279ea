"""The next token from those before it."""

from __future__ import annotations

from torch import Tensor

from llm_lab.tasks.language import Language, nats
from llm_lab.tasks.task import Batch


class CausalLM(Language):
    """Cross-entropy of each next token; the data have shifted the labels, -100 where a document ends.

    Source: GPT-2, https://openai.com/index/better-language-models/
    """

    head = "causal_lm"
    causal = True

    def forward(self, batch: Batch) -> Tensor:
        """Logits [B, T, V]."""
        logits: Tensor = self.network()(**self.inputs(batch), use_cache=False).logits
        return logits.float()[: len(batch["index"])]

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Nats [N] of the targets."""
        return nats(outputs, batch["labels"])

    def measured(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Nats, logits and tokens of the targets."""
        asked = batch["labels"] != -100  # noqa: PLR2004 - the library's own number
        return {
            "nats": self.losses(outputs, batch),
            "logits": outputs[asked],
            "targets": batch["labels"][asked],
        }
