"""Masked LM, and whether the second of two sentences belongs behind the first."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from llm_lab.models.heads import Head
from llm_lab.tasks.masked_lm import MaskedLM, only
from llm_lab.tasks.task import Batch


class Outputs(NamedTuple):
    """Logits of hidden tokens [N, V] and of pairs [B, 2]."""

    tokens: Tensor
    pairs: Tensor


class NextSentence(MaskedLM):
    """The loss of each hidden token with that of its pair, so that a pair weighs as its hidden tokens do.

    What is asked of a pair is for the data to say: whether the second part follows (BERT,
    https://arxiv.org/abs/1810.04805) or the parts were swapped (ALBERT, https://arxiv.org/abs/1909.11942).
    """

    head = Head.PRETRAINING

    def forward(self, batch: Batch) -> Any:
        """Logits of hidden tokens and of pairs."""
        network = self.network()
        with only(network, batch["hidden"]):
            outputs = network(**self.inputs(batch))
        pairs = outputs.seq_relationship_logits.float()[: len(batch["index"])]
        return Outputs(outputs.prediction_logits.float(), pairs)

    def losses(self, outputs: Any, batch: Batch) -> Tensor:
        """Nats [N] of the hidden tokens and their pairs."""
        pairs = F.cross_entropy(outputs.pairs, batch["pair_labels"], reduction="none")
        row = batch["hidden"].nonzero()[:, 0]
        return super().losses(outputs.tokens, batch) + pairs[row]

    def measured(self, outputs: Any, batch: Batch, losses: Tensor) -> dict[str, Tensor]:
        """Those of the masked LM, and logits and labels of the pairs."""
        nats = super().losses(outputs.tokens, batch)
        tokens = super().measured(outputs.tokens, batch, nats)
        return tokens | {"pair_logits": outputs.pairs, "pair_labels": batch["pair_labels"]}
