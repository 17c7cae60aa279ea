"""Missing stretches of text, by an encoder and a decoder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows
from transformers import AutoTokenizer
from transformers.modeling_outputs import BaseModelOutput

from llm_lab.data.spec import DataSpec
from llm_lab.errors import ConfigError
from llm_lab.models.heads import Head
from llm_lab.tasks.attention import same, typed
from llm_lab.tasks.language import Language, nats
from llm_lab.tasks.noise import uniform
from llm_lab.tasks.spans import Documents, Marks, corrupt, cut, documents, span_counts
from llm_lab.tasks.task import Batch

SENTINEL = re.compile(r"<extra_id_(\d+)>")


class SpanCorruption(Language):
    """Cross-entropy of the targets: sentinels, what they stand for, and the end.

    Source: T5, https://arxiv.org/abs/1910.10683. Each document of a block is corrupted for itself, its sentinels
    count from ``<extra_id_0>``, and neither attention nor the decoder crosses from one into another.

    Args:
        spec: see `Language`.
        model: see `Language`.
        optimizer: see `Language`.
        scheduler: see `Language`.
        regularizers: see `Language`.
        metrics: see `Language`.
        seed: see `Language`.
        density: share of the tokens that are taken away.
        mean_span: tokens per span.
    """

    head = Head.SEQ2SEQ_LM
    ordinary: Tensor
    sentinels: Tensor

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
        density: float = 0.15,
        mean_span: float = 3.0,
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
        if not 0 < density < 1 or mean_span < 1:
            raise ConfigError(
                f"task.density: {density} is no share, or task.mean_span: {mean_span} is below one token"
            )
        self.density, self.mean_span = density, mean_span
        self.counted_by = (density, mean_span)
        tokenizer = AutoTokenizer.from_pretrained(spec.tokenizer)
        self.register_buffer("sentinels", self._sentinels(tokenizer, spec.max_length), persistent=False)
        ordinary = torch.ones(len(tokenizer), dtype=torch.bool)
        ordinary[tokenizer.all_special_ids] = False
        self.register_buffer("ordinary", ordinary, persistent=False)
        self.end = int(next(i for i in (tokenizer.eos_token_id, tokenizer.sep_token_id) if i is not None))
        self.pad = int(tokenizer.pad_token_id)

    def _sentinels(self, tokenizer: Any, longest: int) -> Tensor:
        named = {name: number for name, number in tokenizer.get_vocab().items() if SENTINEL.fullmatch(name)}
        numbers = [named[f"<extra_id_{place}>"] for place in range(len(named))]
        _, wanted = span_counts(torch.tensor([longest]), density=self.density, mean_length=self.mean_span)
        if len(numbers) < int(wanted):
            raise ConfigError(
                f"model.tokenizer.extra_ids: {int(wanted)} sentinels <extra_id_N> are needed for "
                f"{longest} tokens, and the tokenizer has {len(numbers)}"
            )
        return torch.tensor(numbers)

    def targeted(self, batch: Batch) -> Batch:
        """Take spans away; the batch gains what encoder and decoder get."""
        tokens = batch["input_ids"]
        segments = batch.get("segments", torch.zeros_like(tokens))
        if "attention_mask" in batch:
            segments = segments.masked_fill(batch["attention_mask"] == 0, -1)
        taken = self._taken(tokens, segments, batch["index"])
        marks = Marks(self.sentinels, self.end, self.pad)
        return batch | corrupt(tokens, segments, taken, marks)._asdict() | {"index": batch["index"]}

    def _taken(self, tokens: Tensor, segments: Tensor, index: Tensor) -> Tensor:
        """Bool [B, T]; the first token of a document stays, and so does the special one that ends it."""
        found = documents(segments)
        real = segments[found.row, found.start] >= 0
        row, start, length = Documents(*(part[real] for part in found))
        ends = ~self.ordinary[tokens[row, start + length - 1]]
        places = start[:, None] + torch.arange(int(length.max()) if len(length) else 0, device=tokens.device)
        rows = F.pad(index, (0, len(tokens) - len(index)))  # a rank without rows has a filler
        streams = (
            uniform(rows, tokens.shape[1], seed=self.seed, epoch=self.noise_epoch, stream=s) for s in (0, 1)
        )
        inside = places.clamp(max=tokens.shape[1] - 1)
        first, second = (noise[row[:, None], inside] for noise in streams)
        chosen = cut(length - ends.long(), (first, second), density=self.density, mean_length=self.mean_span)
        taken = torch.zeros_like(tokens, dtype=torch.bool)
        document, offset = chosen.nonzero(as_tuple=True)
        taken[row[document], start[document] + offset] = True
        return taken

    def step_targets(self, batch: Batch) -> Tensor:
        """Targets of the step, nearly: what is taken from all its tokens, and the sentinels."""
        return super().step_targets(batch) * (self.density * (1 + 1 / self.mean_span))

    def forward(self, batch: Batch) -> Tensor:
        """Logits [B, U, V] of the decoder."""
        network: Any = self.network()
        sources, targets = batch["input_segments"], batch["target_segments"]
        masks = (same(sources, sources), same(targets, sources), same(targets, targets).tril())
        inward, across, backward = (typed(network.config, mask) for mask in masks)
        states = network.get_encoder()(input_ids=batch["inputs"], attention_mask=inward).last_hidden_state
        outputs = network(
            encoder_outputs=BaseModelOutput(last_hidden_state=states),
            attention_mask=across,
            decoder_input_ids=batch["decoder_inputs"],
            decoder_attention_mask=backward,
            use_cache=False,
        )
        logits: Tensor = outputs.logits
        return logits.float()[: len(batch["index"])]

    def counted(self, model: Any, inputs: Batch) -> Any:
        """Encoder and decoder over as many tokens as spans leave and make."""
        tokens = inputs["input_ids"]
        length = tokens.shape[1]
        spans = round(length * self.density / self.mean_span)
        taken = round(length * self.density)
        sources, targets = tokens[:, : length - taken + spans], tokens[:, : taken + spans + 1]
        return model(input_ids=sources, decoder_input_ids=targets, use_cache=False)

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Nats [N] of the targets."""
        return nats(outputs, batch["targets"][: len(outputs)])

    def measured(self, outputs: Tensor, batch: Batch, losses: Tensor) -> dict[str, Tensor]:
        """Nats, logits and tokens of the targets."""
        targets = batch["targets"][: len(outputs)]
        asked = targets != -100  # noqa: PLR2004 - the library's own number
        return {"nats": losses, "logits": outputs[asked], "targets": targets[asked]}
