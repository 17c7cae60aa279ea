"""A causal language model that goes on from what towers see, as transformers' Auto classes know it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM
from transformers.modeling_outputs import CausalLMOutput

from llm_lab.errors import ConfigError
from llm_lab.models.fusion.early import joined
from llm_lab.models.fusion.saved import FusionConfig, Towers
from llm_lab.models.tower import Tokens


class FusionForCausalLM(Towers):
    """Tokens of all towers, projected among the words of a language model, stand before what it writes.

    As LLaVA has it (Liu et al. 2023, https://arxiv.org/abs/2304.08485), with a projector of one hidden layer
    (https://arxiv.org/abs/2310.03744). The token that ends texts stands before the first word too.
    """

    def __init__(self, config: FusionConfig) -> None:
        super().__init__(config)
        self.language = AutoModelForCausalLM.from_config(config.language_config())
        width = self.language.get_input_embeddings().embedding_dim
        self.projector = nn.Sequential(
            nn.Linear(config.width, width), nn.GELU(), nn.Dropout(config.dropout), nn.Linear(width, width)
        )
        self.post_init()

    def get_input_embeddings(self) -> Any:
        """Of the language model."""
        return self.language.get_input_embeddings()

    def get_output_embeddings(self) -> Any:
        """Of the language model."""
        return self.language.get_output_embeddings()

    def forward(self, decoder_input_ids: Tensor, **inputs: Tensor) -> CausalLMOutput:
        """Logits [B, U, V] of the token behind each of ``decoder_input_ids`` [B, U], the first of which is the end's.

        Raises:
            ConfigError: prefix and text are longer than the language model reads.
        """
        seen = self._seen(decoder_input_ids, inputs)
        length, room = decoder_input_ids.shape[1], self._room(seen)
        if room < 0:
            raise ConfigError(
                f"model.language: {seen.mask.shape[1] - length} tokens of inputs and {length} of text are {-room} more "
                "than it reads; let towers give fewer tokens, or take one that reads more"
            )
        return CausalLMOutput(
            logits=self.language(
                inputs_embeds=seen.states,
                attention_mask=seen.mask,
                position_ids=(seen.mask.cumsum(dim=1) - 1).clamp(min=0),  # as generation numbers them
                use_cache=False,
                logits_to_keep=length,
            ).logits
        )

    @torch.no_grad()
    def generate(self, *, num_beams: int = 1, in_step: bool = False, **inputs: Tensor) -> Tensor:
        """Tokens [B, U] of the likeliest texts, filled up behind their ends.

        Args:
            num_beams: texts that are followed at once.
            in_step: go on until every rank has ended: where weights lie in parts, all are needed for a token of any.
            inputs: see `Towers.encode`.
        """
        first = next(iter(inputs.values()))
        start = torch.full((len(first), 1), int(self.config.vocabulary["end"]), device=first.device)
        seen = self._seen(start, inputs)
        longest = int(self.config.vocabulary["longest"])
        found: Tensor = self.language.generate(
            inputs_embeds=seen.states,
            attention_mask=seen.mask,
            max_new_tokens=max(1, min(longest, self._room(seen))),
            num_beams=num_beams,
            do_sample=False,
            synced_gpus=in_step,
            eos_token_id=int(self.config.vocabulary["end"]),
            pad_token_id=int(self.config.vocabulary["none"]),
        )
        return found

    def _seen(self, written: Tensor, inputs: Mapping[str, Tensor]) -> Tokens:
        """Embeddings of all inputs in the order of their names, then those of the text."""
        tokens = self.encode(inputs)
        prefix = joined(tokens, list(tokens))
        words = self.get_input_embeddings()(written)
        states = torch.cat([self.projector(prefix.states).to(words.dtype), words], dim=1)
        return Tokens(states, torch.cat([prefix.mask, torch.ones_like(written)], dim=1))

    def _room(self, seen: Tokens) -> int:
        """How many tokens more the language model reads."""
        most = getattr(self.language.config, "max_position_embeddings", None)
        return int(most or sys.maxsize) - seen.mask.shape[1]


AutoModelForCausalLM.register(FusionConfig, FusionForCausalLM, exist_ok=True)
