"""Any text backbone of the lab as an encoder beside others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModel

from llm_lab.data.spec import DataSpec
from llm_lab.errors import ConfigError
from llm_lab.models import text
from llm_lab.models.backbone_tower import BackboneTower
from llm_lab.models.freeze import Freeze
from llm_lab.models.heads import Head
from llm_lab.models.pooled import without_pooler
from llm_lab.models.tower import Tokens


class Text(BackboneTower):
    """An encoder of texts: pretrained by ``source``, or from random weights by ``architecture`` and ``sizes``.

    Args:
        column: of the data.
        spec: of the data, for its tokenizer; None for a saved model, whose sizes say everything.
        source: see `llm_lab.models.text.pretrained`.
        licence: of the weights.
        architecture: see `llm_lab.models.text.from_scratch`.
        sizes: fields of its configuration.
        tokenizer: node of the tokenizer, for the data module.
        dropout: sets every dropout; None keeps those of the configuration.
        freeze: see `llm_lab.models.freeze.freeze_parameters`; ``true`` for everything.
    """

    def __init__(
        self,
        *,
        column: Mapping[str, Any],
        spec: DataSpec | None = None,
        source: str | None = None,
        licence: str = "",
        architecture: str | None = None,
        sizes: Mapping[str, Any] | None = None,
        tokenizer: Mapping[str, Any] | None = None,
        dropout: float | None = None,
        freeze: Freeze | bool = None,
    ) -> None:
        del column, tokenizer
        super().__init__()
        if (architecture is None) == (source is None):
            raise ConfigError("give either `architecture` with its `sizes`, or `source`")
        whole = freeze is True
        part: Freeze = None if isinstance(freeze, bool) else freeze
        if spec is None:
            fields = dict(sizes or {})
            backbone = AutoModel.from_config(AutoConfig.for_model(str(architecture), **fields))
        else:
            spec = replace(spec, labels=())  # it has no head
            common: dict[str, Any] = {"spec": spec, "head": Head.ENCODER, "dropout": dropout, "freeze": part}
            backbone = (
                text.pretrained(source=source, licence=licence, **common)
                if source is not None
                else text.from_scratch(architecture=str(architecture), sizes=sizes or {}, **common)
            )
        self.backbone = without_pooler(backbone)
        self.width = int(self.backbone.config.hidden_size)
        self.freeze(frozen=whole)

    def forward(self, values: Tensor, mask: Tensor | None = None) -> Tokens:
        """Tokens [B, T, D] from token numbers [B, T] with their mask."""
        keep = torch.ones_like(values) if mask is None else mask
        return Tokens(self.backbone(input_ids=values, attention_mask=keep).last_hidden_state, keep)
