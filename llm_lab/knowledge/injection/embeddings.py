"""Embeddings of a graph's entities, added at the tokens that name them.

After ERNIE (Zhang et al. 2019, https://arxiv.org/abs/1905.07129) and KnowBERT (Peters et al. 2019,
https://arxiv.org/abs/1909.04164): vectors learned from triples are projected to the width of the model. The gate is
closed at first (as in Alayrac et al. 2022, https://arxiv.org/abs/2204.14198), so that training begins at the model
as it was.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from llm_lab import assets
from llm_lab.data.annotations import ENTITIES
from llm_lab.data.readers import as_uri
from llm_lab.errors import ConfigError
from llm_lab.knowledge.injection.inside import Inside, install
from llm_lab.models.graph.scorer import WEIGHTS
from llm_lab.models.structure import layer_stack
from llm_lab.models.wrapper import Wrapper

TABLE = "entity"  # the tensor [E, D] of a saved scorer


class Entities(Inside):
    """Adds ``tanh(gate) * project(vector)`` to the states of tokens that name an entity, before a layer.

    Args:
        entities: rows of the table, without that of no entity.
        dim: numbers of a row.
        width: of the model.
        layer: number of the layer, from 0.
        frozen: whether the table stays as it is.
    """

    name, column = "entity_embeddings", ENTITIES

    def __init__(self, *, entities: int, dim: int, width: int, layer: int, frozen: bool) -> None:
        super().__init__()
        self.table = nn.Embedding(entities + 1, dim, padding_idx=0)
        self.table.weight.requires_grad_(not frozen)
        self.project = nn.Linear(dim, width)
        self.gate = nn.Parameter(torch.zeros(1))
        self.layer, self.frozen = layer, frozen

    def settings(self) -> dict[str, Any]:
        """See `Inside.settings`."""
        rows, dim = self.table.weight.shape
        return {"entities": rows - 1, "dim": dim, "layer": self.layer, "frozen": self.frozen}

    def inject(self, layer: nn.Module, args: tuple[Any, ...], inputs: dict[str, Any]) -> Any:
        """Change the states [B, T, W] that the layer gets."""
        del layer
        if self.given is None:
            return args, inputs
        states, *rest = args or [inputs["hidden_states"]]
        vectors = self.project(self.table(self.given)) * self.gate.tanh()
        states = states + (vectors * (self.given > 0).unsqueeze(-1)).to(states.dtype)
        return ((states, *rest), inputs) if args else (args, {**inputs, "hidden_states": states})


class EntityEmbeddings(Wrapper):
    """Puts the embeddings of a run of link prediction into a model; they stay in it.

    Args:
        source: URI of the run: ``run://experiment/link_prediction?knowledge=companies`` trains it first.
        layer: before which they are added: 0 is the first one, -1 the last.
        frozen: keep the vectors; projection and gate learn all the same.
    """

    writes_weights = False

    def __init__(self, *, source: str, layer: int = 0, frozen: bool = True) -> None:
        self.source, self.layer, self.frozen = source, layer, frozen

    def __call__(self, module: nn.Module) -> nn.Module:
        """Put them in.

        Raises:
            ConfigError: the run holds no embeddings of entities, or the model has no such layer.
        """
        vectors = F.normalize(table_of(self.source), dim=1)
        entities, dim = vectors.shape
        part = put(module, entities=entities, dim=dim, layer=self.layer, frozen=self.frozen)
        with torch.no_grad():
            part.table.weight[1:] = vectors
        return module


def put(module: nn.Module, *, entities: int, dim: int, layer: int, frozen: bool) -> Entities:
    """Make `Entities` a part of a model.

    Raises:
        ConfigError: the model has no such layer.
    """
    layers = layer_stack(module)[1]
    if not -len(layers) <= layer < len(layers):
        raise ConfigError(f"model.wrappers.knowledge.layer: {layer} is none of the {len(layers)} layers")
    backbone: Any = getattr(module, "base_model", module)
    width = backbone.config.hidden_size
    part = Entities(entities=entities, dim=dim, width=width, layer=layer % len(layers), frozen=frozen)
    install(part, module)
    layers[part.layer].register_forward_pre_hook(part.inject, with_kwargs=True)
    return part


def table_of(source: str) -> Tensor:
    """The vectors [E, D] of a run of link prediction.

    Raises:
        ConfigError: its model has none, as rules have none.
    """
    folder: Path = assets.saved_in(assets.resolve(as_uri(source)))
    if (folder / WEIGHTS).is_file():
        with safe_open(folder / WEIGHTS, framework="pt") as weights:
            if TABLE in weights.keys():  # noqa: SIM118 - no mapping
                return weights.get_tensor(TABLE).float()
    raise ConfigError(f"model.wrappers.knowledge.source: {source} holds no embeddings of entities ({folder})")
