"""Which layers of which architecture are cut how under tensor parallelism."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import Replicate
from torch.distributed.tensor.parallel import ParallelStyle, RowwiseParallel, parallelize_module

from llm_lab.errors import ConfigError
from llm_lab.strategies.styles import Columns, Rows

Plan = dict[str, ParallelStyle]
BERT_FAMILY = ("bert", "roberta", "xlm-roberta", "camembert", "electra")


def tensor_parallel(model: nn.Module, mesh: DeviceMesh) -> nn.Module:
    """Cut attention heads, feed-forward layers and the word embeddings of a model over a mesh, in place.

    Norms, biases that follow a sum, position embeddings and the head stay whole on every rank.

    Raises:
        ConfigError: there is no plan for the architecture, or its sizes cannot be divided by the ranks.
    """
    base: Any = getattr(model, "base_model", model)
    config = getattr(base, "config", None)
    kind = str(getattr(config, "model_type", type(model).__name__))
    plan = _plan(kind, config)
    _check_sizes(config, mesh.size())
    if kind == "gpt2":
        for block in base.h:
            block.attn.split_size //= mesh.size()
    parallelize_module(base, mesh, plan)
    return model


def _plan(kind: str, config: Any) -> Plan:
    if kind in BERT_FAMILY:
        return _bert()
    if kind in _OWN:
        return _OWN[kind]()
    theirs = getattr(config, "base_model_tp_plan", None) or {}
    if theirs and set(theirs.values()) <= {"colwise", "rowwise"}:
        styles = {"colwise": Columns, "rowwise": Rows}
        return {"embed_tokens": _vocabulary(), **{name: styles[style]() for name, style in theirs.items()}}
    known = ", ".join([*BERT_FAMILY, *_OWN, "llama"])
    raise ConfigError(
        f"strategy: there is no tensor-parallel plan for a {kind} model; there is one for {known} and "
        "others that transformers has a plain plan for. fsdp2 takes every model"
    )


def _vocabulary() -> ParallelStyle:
    return RowwiseParallel(input_layouts=Replicate())


def _bert() -> Plan:
    layer = "encoder.layer.*"
    projections = {f"{layer}.attention.self.{name}": Columns() for name in ("query", "key", "value")}
    return {
        "embeddings.word_embeddings": _vocabulary(),
        **projections,
        f"{layer}.attention.output.dense": Rows(),
        f"{layer}.intermediate.dense": Columns(),
        f"{layer}.output.dense": Rows(),
    }


def _modernbert() -> Plan:
    return {
        "embeddings.tok_embeddings": _vocabulary(),
        "layers.*.attn.Wqkv": Columns(projections=3),
        "layers.*.attn.Wo": Rows(),
        "layers.*.mlp.Wi": Columns(projections=2),
        "layers.*.mlp.Wo": Rows(),
    }


def _gpt2() -> Plan:
    return {
        "wte": _vocabulary(),
        "h.*.attn.c_attn": Columns(projections=3),
        "h.*.attn.c_proj": Rows(),
        "h.*.mlp.c_fc": Columns(),
        "h.*.mlp.c_proj": Rows(),
    }


_OWN = {"modernbert": _modernbert, "gpt2": _gpt2}


def _check_sizes(config: Any, ranks: int) -> None:
    for field in ("num_attention_heads", "num_key_value_heads", "intermediate_size", "n_inner"):
        size = getattr(config, field, None)
        if isinstance(size, int) and size % ranks:
            raise ConfigError(
                f"strategy.tensor_parallel: the model's {field} of {size} cannot be divided by {ranks} ranks"
            )
