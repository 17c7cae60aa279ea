"""Texts to vectors: a pretrained encoder that reads each distinct text of a batch once, in groups of equal length."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows
from transformers import AutoConfig, AutoTokenizer

from llm_lab.errors import AssetError
from llm_lab.models.classifier import load
from llm_lab.models.folder import model_folder
from llm_lab.models.freeze import Freeze, freeze_parameters
from llm_lab.models.graph.entity_texts import Tokens
from llm_lab.models.graph.scorer import device_of
from llm_lab.models.heads import Head
from llm_lab.models.pooled import pool, without_pooler

GROUP = 2048  # tokens that go through the encoder together


class TextEncoder(nn.Module):
    """An encoder of transformers, the mean of whose last states is taken, and its tokenizer.

    Args:
        source: URI or folder of a pretrained model.
        licence: of its weights.
        dropout: sets every dropout of the encoder; None keeps its own.
        freeze: see `freeze_parameters`.

    Raises:
        AssetError: the source holds no such model.
    """

    def __init__(
        self,
        *,
        source: str,
        licence: str = "",
        dropout: float | None = None,
        freeze: Freeze = None,
    ) -> None:
        super().__init__()
        folder = model_folder(source, licence=licence)
        try:
            config: Any = AutoConfig.from_pretrained(folder, trust_remote_code=False)
            for name in () if dropout is None else ("hidden_dropout_prob", "attention_probs_dropout_prob"):
                setattr(config, name, dropout)
            self.model: Any = without_pooler(load(folder, config, Head.ENCODER, None)).train()
            self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise AssetError(
                f"model.source: transformers cannot load {source} ({folder}): {error}"
            ) from error
        freeze_parameters(self.model, freeze)

    @property
    def width(self) -> int:
        """Numbers per vector."""
        return int(self.model.config.hidden_size)

    def forward(self, texts: Sequence[Tokens]) -> Tensor:
        """Vectors [N, H] of length one, in single precision."""
        return F.normalize(self.states(texts), dim=1)

    def states(self, texts: Sequence[Tokens]) -> Tensor:
        """Pooled hidden states [N, H] of texts in their order, in single precision."""
        distinct = sorted(set(texts), key=lambda text: (len(text), text))
        places = {text: place for place, text in enumerate(distinct)}
        states = torch.cat([self._group(group) for group in _groups(distinct)])
        chosen = torch.tensor([places[text] for text in texts], device=states.device)
        return states.index_select(0, chosen)

    def _group(self, texts: Sequence[Tokens]) -> Tensor:
        device, longest = device_of(self), len(texts[-1])
        ids = torch.tensor([text + (0,) * (longest - len(text)) for text in texts], device=device)
        lengths = torch.tensor([len(text) for text in texts], device=device)
        mask = (torch.arange(longest, device=device) < lengths[:, None]).long()
        states = self.model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        return pool(states, mask, "mean")

    def write(self, folder: Path) -> None:
        """Write a plain folder of transformers."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


def _groups(texts: Sequence[Tokens]) -> list[Sequence[Tokens]]:
    """Texts, sorted by length, in groups of about `GROUP` tokens with padding."""
    groups, start = [], 0
    for place in range(1, len(texts) + 1):
        if place == len(texts) or (place + 1 - start) * len(texts[place]) > GROUP:
            groups.append(texts[start:place])
            start = place
    return groups
