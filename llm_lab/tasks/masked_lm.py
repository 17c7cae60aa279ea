"""Hidden tokens from what stands around them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from llm_lab.data.spec import DataSpec
from llm_lab.errors import ConfigError
from llm_lab.models.heads import Head
from llm_lab.tasks.language import Language
from llm_lab.tasks.masking import Rates, hide
from llm_lab.tasks.task import Batch
from llm_lab.tasks.vocabulary import Vocabulary


class MaskedLM(Language):
    """Cross-entropy of the hidden tokens; only these go through the product with the vocabulary.

    Source: BERT, https://arxiv.org/abs/1810.04805; masks anew in each epoch: RoBERTa,
    https://arxiv.org/abs/1907.11692.

    Args:
        spec: see `Language`.
        model: see `Language`.
        optimizer: see `Language`.
        scheduler: see `Language`.
        regularizers: see `Language`.
        metrics: see `Language`.
        seed: see `Language`.
        rate: share of the tokens of a row that are hidden; special tokens never are.
        mask: share of these in whose place the mask token stands.
        random: share of these in whose place a random token stands; the rest keep their own.
        whole_words: hide words, not pieces of words.
    """

    head = Head.MASKED_LM

    def __init__(
        self,
        *,
        spec: DataSpec,
        model: Mapping[str, Any],
        optimizer: Mapping[str, Any],
        scheduler: Mapping[str, Any],
        metrics: Mapping[str, Any],
        regularizers: Mapping[str, Any] | None = None,
        seed: int = 0,
        rate: float = 0.15,
        mask: float = 0.8,
        random: float = 0.1,
        whole_words: bool = False,
    ) -> None:
        super().__init__(
            spec=spec,
            model=model,
            optimizer=optimizer,
            scheduler=scheduler,
            metrics=metrics,
            regularizers=regularizers,
            seed=seed,
        )
        if not (0 < rate < 1 and mask >= 0 and random >= 0 and mask + random <= 1):
            raise ConfigError(
                f"task.rate: {rate} of the tokens, {mask} of them masked and {random} random, are no shares"
            )
        self.rates, self.whole_words = Rates(rate, mask, random), whole_words
        self.counted_by = (rate,)
        self.vocabulary = Vocabulary(spec.tokenizer)

    def targeted(self, batch: Batch) -> Batch:
        """Hide tokens; ``hidden`` bool [B, T] says where, ``labels`` [N] what they were."""
        tokens = batch["input_ids"]
        rows = F.pad(
            batch["index"], (0, len(tokens) - len(batch["index"]))
        )  # a rank without rows has a filler
        changed, hidden = hide(
            tokens,
            rows,
            self.vocabulary,
            rates=self.rates,
            whole_words=self.whole_words,
            seed=self.seed,
            epoch=self.noise_epoch,
        )
        return batch | {"input_ids": changed, "hidden": hidden, "labels": tokens[hidden]}

    def step_targets(self, batch: Batch) -> Tensor:
        """Hidden tokens of the whole step, but for rounding: the loader counts all that could be hidden."""
        return super().step_targets(batch) * self.rates.masked

    def forward(self, batch: Batch) -> Any:
        """Logits [N, V] of the hidden tokens."""
        network = self.network()
        with only(network, batch["hidden"]):
            logits: Tensor = network(**self.inputs(batch)).logits
        return logits.float()

    def counted(self, model: Any, inputs: Batch) -> Any:
        """The hidden share of the positions alone meets the vocabulary."""
        with some(model, self.rates.masked):
            return super().counted(model, inputs)

    def losses(self, outputs: Any, batch: Batch) -> Tensor:
        """Nats [N] of the hidden tokens."""
        return F.cross_entropy(outputs, batch["labels"], reduction="none")

    def measured(self, outputs: Any, batch: Batch, losses: Tensor) -> dict[str, Tensor]:
        """Nats, logits and tokens of the targets."""
        return {"nats": losses, "logits": outputs, "targets": batch["labels"]}


@contextmanager
def only(model: nn.Module, positions: Tensor) -> Iterator[None]:
    """Let the output embedding see the states [N, H] of these positions, bool [B, T], instead of all [B, T, H].

    On a processor the product with the vocabulary costs more than a small model's layers.
    """
    output: nn.Module = model.get_output_embeddings()  # type: ignore[operator]
    handle = output.register_forward_pre_hook(lambda _, inputs: (inputs[0][positions],))
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def some(model: nn.Module, share: float) -> Iterator[None]:
    """Let the output embedding see a share of all positions, whichever: for counting alone."""
    output: nn.Module = model.get_output_embeddings()  # type: ignore[operator]

    def cut(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
        states = inputs[0].flatten(0, -2)
        return (states[: round(len(states) * share)],)

    handle = output.register_forward_pre_hook(cut)
    try:
        yield
    finally:
        handle.remove()
