"""Towers under a head that writes texts, as transformers' Auto classes know them; importing this registers them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCTC, AutoModelForSpeechSeq2Seq, GPT2Config, GPT2LMHeadModel
from transformers.modeling_outputs import CausalLMOutput, CausalLMOutputWithCrossAttentions

from llm_lab.errors import ConfigError
from llm_lab.models.fusion.early import joined
from llm_lab.models.fusion.saved import FusionConfig, Towers
from llm_lab.models.tower import Tokens

IMPOSSIBLE = 1e4  # nats: what a symbol costs where there is nothing to hear


class FusionForCTC(Towers):
    """A tower over one sound, and a linear layer that says a symbol, or none, at each of its tokens."""

    def __init__(self, config: FusionConfig) -> None:
        super().__init__(config)
        kinds = [str(told["kind"]) for told in config.inputs.values()]
        if kinds != ["audio"]:
            raise ConfigError(
                f"CTC hears one sound, the data have {', '.join(kinds)}; `task=speech_to_text` takes any inputs"
            )
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.width, int(config.vocabulary["size"]))
        self.post_init()

    def forward(self, **inputs: Tensor) -> CausalLMOutput:
        """Logits [B, T, V] from the tensors of the input, see `Towers.encode`.

        Where a row has ended none is certain: then the most likely symbols, and what CTC says of any text, are those of
        the row alone.
        """
        (tokens,) = self.encode(inputs).values()
        logits = self.classifier(self.dropout(tokens.states))
        silence = logits.new_full(logits.shape[-1:], -IMPOSSIBLE)
        silence[int(self.config.vocabulary["none"])] = 0.0
        return CausalLMOutput(logits=torch.where(tokens.mask.unsqueeze(-1) == 1, logits, silence))


class FusionForSpeechSeq2Seq(Towers):
    """Towers, and a small decoder that looks at the tokens of all of them while it writes.

    The decoder is GPT-2 from random weights with cross-attention (Vaswani et al. 2017, in the shape of Speech2Text,
    Wang et al. 2020, https://arxiv.org/abs/2010.05171).
    """

    def __init__(self, config: FusionConfig) -> None:
        super().__init__(config)
        told: Mapping[str, Any] = config.vocabulary
        settings = {"layers": 2, "heads": 4, "dropout": 0.1, "positions": 256, **config.decoder}
        drop, end = float(settings["dropout"]), int(told["end"])
        self.decoder = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=int(told["size"]), n_positions=int(settings["positions"]), n_embd=config.width,
                n_layer=int(settings["layers"]), n_head=int(settings["heads"]), resid_pdrop=drop, embd_pdrop=drop,
                attn_pdrop=drop, bos_token_id=end, eos_token_id=end, pad_token_id=int(told["none"]),
                add_cross_attention=True, tie_word_embeddings=False,
            )
        )  # fmt: skip
        self.post_init()

    def heard(self, inputs: Mapping[str, Tensor]) -> Tokens:
        """The tokens of all inputs in one row."""
        tokens = self.encode(inputs)
        return joined(tokens, list(tokens))

    def forward(self, decoder_input_ids: Tensor, **inputs: Tensor) -> CausalLMOutputWithCrossAttentions:
        """Logits [B, U, V] of the token behind each of ``decoder_input_ids`` [B, U]."""
        seen = self.heard(inputs)
        found: CausalLMOutputWithCrossAttentions = self.decoder(
            input_ids=decoder_input_ids,
            encoder_hidden_states=seen.states,
            encoder_attention_mask=seen.mask,
            use_cache=False,
        )
        return found

    @torch.no_grad()
    def generate(self, *, num_beams: int = 1, in_step: bool = False, **inputs: Tensor) -> Tensor:
        """Tokens [B, U] of the likeliest texts, filled up behind their ends.

        Args:
            num_beams: texts that are followed at once.
            in_step: go on until every rank has ended: where weights lie in parts, all are needed for a token of any.
            inputs: see `Towers.encode`.
        """
        seen = self.heard(inputs)
        config = self.decoder.config
        start = seen.mask.new_full((len(seen.mask), 1), int(config.eos_token_id))
        found: Tensor = self.decoder.generate(
            input_ids=start,
            attention_mask=torch.ones_like(start),
            encoder_hidden_states=seen.states,
            encoder_attention_mask=seen.mask,
            max_new_tokens=min(int(self.config.vocabulary["longest"]), int(config.n_positions) - 1),
            num_beams=num_beams,
            do_sample=False,
            synced_gpus=in_step,
        )
        return found[:, 1:]


AutoModelForCTC.register(FusionConfig, FusionForCTC, exist_ok=True)
AutoModelForSpeechSeq2Seq.register(FusionConfig, FusionForSpeechSeq2Seq, exist_ok=True)
