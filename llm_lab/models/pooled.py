"""A sequence classifier over the mean or maximum of the last hidden states, for any encoder of transformers.

Plain transformers knows no such class: whoever loads a saved one imports ``llm_lab.models`` first.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import SequenceClassifierOutput


class PooledConfig(PreTrainedConfig):
    """Configuration of the encoder inside, pooling (``mean``, ``max``, ``cls``) and dropout of the head."""

    model_type = "llm_lab_pooled"

    def __init__(
        self,
        *,
        backbone: dict[str, Any] | None = None,
        pooling: str = "mean",
        classifier_dropout: float = 0.1,
        **kwargs: Any,
    ) -> None:
        self.backbone = backbone or {"model_type": "bert"}
        self.pooling = pooling
        self.classifier_dropout = classifier_dropout
        super().__init__(**kwargs)

    @property
    def vocab_size(self) -> int:
        """Of the encoder inside; libraries ask for it."""
        return int(self.backbone_config().vocab_size)

    def backbone_config(self) -> Any:
        """The encoder's own configuration."""
        fields = dict(self.backbone)
        return AutoConfig.for_model(fields.pop("model_type"), **fields)


class PooledForSequenceClassification(PreTrainedModel):
    """Encoder, pooling over the tokens that are not padding, dropout, one linear layer."""

    config_class = PooledConfig
    base_model_prefix = "backbone"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True

    def __init__(self, config: PooledConfig) -> None:
        super().__init__(config)
        encoder = config.backbone_config()
        self.backbone = without_pooler(AutoModel.from_config(encoder))
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(encoder.hidden_size, config.num_labels)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if module is self.classifier:
            nn.init.normal_(self.classifier.weight, std=0.02)
            nn.init.zeros_(self.classifier.bias)

    def forward(
        self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None, **kwargs: Any
    ) -> SequenceClassifierOutput:
        """Logits [B, C] from ``input_ids`` [B, T] and ``attention_mask`` [B, T]."""
        states = self.backbone(input_ids=input_ids, attention_mask=attention_mask, **kwargs).last_hidden_state
        mask = (
            torch.ones(states.shape[:2], device=states.device) if attention_mask is None else attention_mask
        )
        mask = mask[:, -states.shape[1] :]  # a prefix of keys and values is masked too, but gives no states
        pooled = pool(states, mask, self.config.pooling)
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(pooled)))


def without_pooler(encoder: PreTrainedModel) -> PreTrainedModel:
    """The encoder without BERT's own pooler: parameters that get no gradient stop distributed training."""
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None
    return encoder


def pool(states: Tensor, mask: Tensor, pooling: str) -> Tensor:
    """Mean, maximum or first (``cls``) of the ``states`` [B, T, H] that ``mask`` [B, T] keeps: [B, H]."""
    if pooling == "cls":
        return states[:, 0]
    keep = mask.unsqueeze(-1)
    if pooling == "max":
        return states.masked_fill(keep == 0, torch.finfo(states.dtype).min).amax(dim=1)
    return (states * keep).sum(dim=1) / keep.sum(dim=1).clamp(min=1)


AutoConfig.register(PooledConfig.model_type, PooledConfig, exist_ok=True)
AutoModelForSequenceClassification.register(PooledConfig, PooledForSequenceClassification, exist_ok=True)
