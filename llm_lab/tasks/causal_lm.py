"""The next token from those before it."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor, nn

from llm_lab.models.heads import Head
from llm_lab.models.linear_cross_entropy import IGNORED, headless, token_losses
from llm_lab.tasks.language import Language
from llm_lab.tasks.task import Batch


class Outputs(NamedTuple):
    """States [B, T, W] before the output embedding, and that one: logits of a whole batch are never made."""

    states: Tensor
    head: nn.Module


class CausalLM(Language):
    """Cross-entropy of each next token; the data have shifted the labels, -100 where a document ends.

    Source: GPT-2, https://openai.com/index/better-language-models/
    """

    head = Head.CAUSAL_LM
    causal = True

    def forward(self, batch: Batch) -> Any:
        """States of the rows, and the head."""
        network: Any = self.network()
        with headless(network) as head:
            states = network(**self.inputs(batch), use_cache=False).logits
        return Outputs(states[: len(batch["index"])], head)  # a rank without rows has a filler

    def losses(self, outputs: Any, batch: Batch) -> Tensor:
        """Nats [N] of the targets."""
        return token_losses(outputs.head, outputs.states, batch["labels"])

    def measured(self, outputs: Any, batch: Batch, losses: Tensor) -> dict[str, Tensor]:
        """Nats, logits and tokens of the targets."""
        asked = batch["labels"] != IGNORED
        logits = outputs.head(outputs.states[asked])
        return {"nats": losses, "logits": logits, "targets": batch["labels"][asked]}
