"""A causal language model that goes on from what towers see, as transformers' Auto classes know it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, GenerationMixin
from transformers.modeling_outputs import CausalLMOutput

from llm_lab.errors import ConfigError
from llm_lab.models.fusion.saved import FusionConfig, Towers
from llm_lab.models.tower import Tokens


class FusionForCausalLM(Towers, GenerationMixin):
    """Tokens of all towers, projected among the words of a language model, stand before what it writes.

    As LLaVA has it (Liu et al. 2023, https://arxiv.org/abs/2304.08485), with a projector of one hidden layer
    (https://arxiv.org/abs/2310.03744). A learned vector at the end of the prefix marks where the text begins.
    """

    base_model_prefix = (
        "language"  # what trains beside an adapter of the language model: towers and projector
    )

    def __init__(self, config: FusionConfig) -> None:
        super().__init__(config)
        self.language = AutoModelForCausalLM.from_config(config.language_config())
        width = self.language.get_input_embeddings().embedding_dim
        self.projector = nn.Sequential(
            nn.Linear(config.width, width), nn.GELU(), nn.Dropout(config.dropout), nn.Linear(width, width)
        )
        self.start = nn.Parameter(torch.randn(width) * 0.02)
        self.post_init()

    def get_input_embeddings(self) -> Any:
        """Of the language model."""
        return self.language.get_input_embeddings()

    def get_output_embeddings(self) -> Any:
        """Of the language model."""
        return self.language.get_output_embeddings()

    def forward(self, input_ids: Tensor, *, use_cache: bool = False, **inputs: Tensor) -> CausalLMOutput:
        """Logits [B, T + 1, V] of each token and of the one behind the last.

        Args:
            input_ids: what is written so far [B, T]; padding is on the right.
            use_cache: not used; libraries ask for it.
            inputs: tensors of the inputs, see `Towers.encode`.

        Raises:
            ConfigError: prefix and text are longer than the language model reads.
        """
        prefix = self.prefix(inputs)
        states = torch.cat([prefix.states, self.get_input_embeddings()(input_ids)], dim=1)
        most = getattr(self.language.config, "max_position_embeddings", None)
        if most is not None and states.shape[1] > most:
            raise ConfigError(
                f"model.language: {prefix.states.shape[1]} tokens of inputs and {input_ids.shape[1]} of text, but it "
                f"reads at most {most}; let towers give fewer tokens, or shorten data.max_length"
            )
        mask = torch.cat([prefix.mask, torch.ones_like(input_ids)], dim=1)
        return CausalLMOutput(
            logits=self.language(
                inputs_embeds=states,
                attention_mask=mask,
                position_ids=(mask.cumsum(dim=1) - 1).clamp(min=0),  # as generation numbers them
                use_cache=False,
                logits_to_keep=input_ids.shape[1] + 1,
            ).logits
        )

    def prefix(self, inputs: Mapping[str, Tensor]) -> Tokens:
        """All tokens [B, P, W] in the order of the inputs' names, then the one that marks the start."""
        tokens = self.encode(inputs).values()
        states = self.projector(torch.cat([one.states for one in tokens], dim=1))
        mask = torch.cat([one.mask for one in tokens], dim=1)
        start = self.start.to(states.dtype).expand(len(states), 1, -1)
        return Tokens(
            torch.cat([states, start], dim=1), torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
        )

    @torch.no_grad()
    def generate(self, **inputs: Tensor) -> Tensor:
        """Token numbers [B, T] of what is written, by ``generation_config``; see `forward` for the inputs."""
        prefix = self.prefix(inputs)
        found: Tensor = self.language.generate(
            inputs_embeds=prefix.states.to(self.start.dtype),
            attention_mask=prefix.mask,
            generation_config=self.generation_config,
        )
        return found


AutoConfig.register(FusionConfig.model_type, FusionConfig, exist_ok=True)
AutoModelForCausalLM.register(FusionConfig, FusionForCausalLM, exist_ok=True)
