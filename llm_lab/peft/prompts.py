"""Prefix tuning, prompt tuning and P-tuning: vectors that learn, in front of what the model reads."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Literal, cast

from peft import (
    PeftModelForFeatureExtraction,
    PrefixTuningConfig,
    PromptEncoderConfig,
    PromptLearningConfig,
    PromptTuningConfig,
    PromptTuningInit,
    TaskType,
)
from torch import Tensor, nn
from transformers import PreTrainedModel

from llm_lab.errors import ConfigError
from llm_lab.models.wrapper import Wrapper
from llm_lab.peft.bottleneck import refuse_adapted
from llm_lab.peft.head import head_of

ROWS_AND_TOKENS = 2
SPAN = ("start_logits", "end_logits")  # [B, T], while logits [B, C] of classes may look alike


class Prompts(Wrapper):
    """Puts the model into one of PEFT that adds the vectors; all but them and the head is frozen.

    They cannot be merged: the artifact is an adapter of PEFT beside the model.

    Args:
        config: of the library.
    """

    writes_weights = False

    def __init__(self, *, config: PromptLearningConfig) -> None:
        self.config: Any = config

    def __call__(self, module: nn.Module) -> nn.Module:
        """The model in its wrapper.

        Raises:
            ConfigError: the model cannot take such vectors.
        """
        refuse_adapted(module)
        refuse(module, prefix=isinstance(self.config, PrefixTuningConfig))
        head = head_of(module)
        config = deepcopy(self.config)  # the library fills it in
        fit(config, module)
        wrapped = PeftModelForFeatureExtraction(module, config)
        for name, parameter in wrapped.named_parameters():
            parameter.requires_grad_(id(parameter) in head or name.startswith("prompt_encoder."))
        return watch(wrapped)


def fit(config: Any, model: nn.Module) -> None:
    """Fill in the sizes, from the backbone's configuration; of a task, the library only has to know the kind."""
    sizes = cast("Any", getattr(model, "base_model", model)).config
    config.task_type = TaskType.FEATURE_EXTRACTION  # any head: the outputs go through as they are
    config.num_layers, config.token_dim = sizes.num_hidden_layers, sizes.hidden_size
    config.num_attention_heads = sizes.num_attention_heads
    config.num_transformer_submodules = 1
    groups = getattr(sizes, "num_key_value_heads", None)
    if groups and isinstance(config, PrefixTuningConfig):  # queries in groups share keys and values
        config.token_dim, config.num_attention_heads = (
            config.token_dim // sizes.num_attention_heads * groups,
            groups,
        )
    if getattr(config, "encoder_hidden_size", 0) is None:
        config.encoder_hidden_size = sizes.hidden_size


def refuse(model: nn.Module, *, prefix: bool) -> None:
    """Stop before the training where the library would fail in it, or give other outputs than it should."""
    name, config = type(model).__name__, cast("Any", getattr(model, "base_model", model)).config
    if hasattr(model, "towers"):
        raise ConfigError(
            "peft: vectors in front belong to one text model, not to towers; take peft=lora or adapter"
        )
    if not isinstance(model, PreTrainedModel):
        raise ConfigError(f"peft: a {name} is no single model of transformers; take peft=lora or adapter")
    if getattr(config, "is_encoder_decoder", False):
        raise ConfigError(f"peft: {name} has an encoder and a decoder; take peft=lora, ia3 or adapter")
    if prefix and config.model_type == "modernbert":
        raise ConfigError(f"peft: {name} takes no keys and values from outside; take peft=prompt")
    causal = name.startswith(("GPT", "Llama", "Qwen", "Mistral")) and name.endswith("SequenceClassification")
    if not prefix and causal:
        raise ConfigError(
            f"peft: {name} finds its last token by the ids, which a prompt of vectors has not; take peft=prefix"
        )
    if not prefix and name.endswith(("ForMaskedLM", "ForPreTraining")):
        raise ConfigError(
            f"peft: {name} is asked at the places of tokens, which a prompt moves; take peft=prefix"
        )
    if name.endswith("MultipleChoice"):
        raise ConfigError(f"peft: {name} reads several texts a row; take peft=lora, ia3 or adapter")


def watch(wrapped: nn.Module) -> nn.Module:
    """Cut the vectors' own outputs off, and refuse what would fail in the library."""
    for name, tokens in cast(
        "Any", wrapped
    ).prompt_tokens.items():  # a copy without weights knows buffers only
        wrapped.register_buffer(f"prompt_tokens_{name}", tokens, persistent=False)
    wrapped.register_forward_pre_hook(_check, with_kwargs=True)
    wrapped.register_forward_hook(_cut, with_kwargs=True)
    return wrapped


def _check(wrapped: Any, _: Any, inputs: dict[str, Any]) -> None:
    config, mask = wrapped.active_peft_config, inputs.get("attention_mask")
    if mask is not None and not (isinstance(mask, Tensor) and mask.ndim == ROWS_AND_TOKENS):
        raise ConfigError(
            "data.layout: vectors in front of a row would belong to the first of its documents alone; take "
            "data.layout=documents, or peft=lora"
        )
    if isinstance(config, PrefixTuningConfig) and wrapped.training and wrapped.is_gradient_checkpointing:
        raise ConfigError(
            "strategy.activation_checkpointing: a prefix (peft=prefix) cannot be computed twice"
        )


def _cut(wrapped: Any, _: Any, inputs: dict[str, Any], outputs: Any) -> Any:
    """Outputs per token belong to tokens: [B, P + T, ...] becomes [B, T, ...]. A prefix adds keys, not tokens."""
    config = wrapped.active_peft_config
    if isinstance(config, PrefixTuningConfig):
        return outputs
    length, extra = inputs["input_ids"].shape[1], config.num_virtual_tokens
    for name, value in list(outputs.items()):
        per_token = isinstance(value, Tensor) and (value.ndim > ROWS_AND_TOKENS or name in SPAN)
        if per_token and value.shape[1] == length + extra:
            outputs[name] = value[:, extra:]
    return outputs


def prefix(
    *,
    num_virtual_tokens: int = 20,
    prefix_projection: bool = False,
    encoder_hidden_size: int | None = None,
    lr: float | None = None,
) -> Prompts:
    """Prefix tuning: keys and values of each layer (Li and Liang 2021, https://arxiv.org/abs/2101.00190).

    Args:
        num_virtual_tokens: how many.
        prefix_projection: make them with a small network in training.
        encoder_hidden_size: of that network; None is the model's width.
        lr: learning rate that suits the method; nothing reads it but ``optimizer.lr: ${peft.lr}``.
    """
    del lr
    config = PrefixTuningConfig(
        num_virtual_tokens=num_virtual_tokens,
        prefix_projection=prefix_projection,
        encoder_hidden_size=encoder_hidden_size,
    )
    return Prompts(config=config)


def prompt(*, num_virtual_tokens: int = 20, lr: float | None = None) -> Prompts:
    """Prompt tuning: embeddings before the text, words of the vocabulary at first (Lester et al. 2021, https://arxiv.org/abs/2104.08691).

    Args:
        num_virtual_tokens: how many.
        lr: learning rate that suits the method; nothing reads it but ``optimizer.lr: ${peft.lr}``.
    """
    del lr
    init = PromptTuningInit.SAMPLE_VOCAB
    return Prompts(config=PromptTuningConfig(num_virtual_tokens=num_virtual_tokens, prompt_tuning_init=init))


def p_tuning(
    *,
    num_virtual_tokens: int = 20,
    encoder_reparameterization_type: Literal["MLP", "LSTM"] = "MLP",
    encoder_hidden_size: int | None = None,
    lr: float | None = None,
) -> Prompts:
    """P-tuning: embeddings before the text, made by a small network (Liu et al. 2021, https://arxiv.org/abs/2103.10385).

    Args:
        num_virtual_tokens: how many.
        encoder_reparameterization_type: kind of the network.
        encoder_hidden_size: of the network; None is the model's width.
        lr: learning rate that suits the method; nothing reads it but ``optimizer.lr: ${peft.lr}``.
    """
    del lr
    config = PromptEncoderConfig(
        num_virtual_tokens=num_virtual_tokens,
        encoder_reparameterization_type=encoder_reparameterization_type,
        encoder_hidden_size=encoder_hidden_size,
    )
    return Prompts(config=config)
