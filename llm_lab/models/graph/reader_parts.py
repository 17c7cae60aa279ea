"""Embeddings of a graph, taken over from a run by the names of its entities and relations."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor

from llm_lab.config import build
from llm_lab.data.spec import DataSpec
from llm_lab.errors import ConfigError
from llm_lab.knowledge.triples import ENTITIES, RELATIONS, read_names
from llm_lab.models.folder import model_folder
from llm_lab.models.graph.embedding import Embedding
from llm_lab.models.graph.saved import CONFIG
from llm_lab.models.graph.scorer import WEIGHTS, Scorer

log = logging.getLogger(__name__)


class Taken(NamedTuple):
    """An embedding of a graph, and the node that builds it."""

    embedding: Embedding
    node: Mapping[str, Any]


def embedding_of(node: Mapping[str, Any], spec: DataSpec) -> Taken:
    """An embedding of a graph by its node, its vectors new.

    Raises:
        ConfigError: the node is of a model without vectors.
    """
    found = build(dict(node), expected=Scorer, key="model.embeddings", spec=spec).served()
    if not isinstance(found, Embedding):
        raise ConfigError(f"model.embeddings: a vector per entity is wanted, not a {type(found).__name__}")
    return Taken(found, node)


def embedding_like(source: str | None, spec: DataSpec) -> Taken:
    """The embedding of a run, in the numbering of these data; what the run does not know begins anew.

    Raises:
        ConfigError: there is no source, or its model is no embedding.
    """
    if source is None:
        raise ConfigError(
            "model.embeddings: a run of link prediction is wanted, such as run://experiment/graph_embeddings"
        )
    folder = model_folder(source)
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    if config.get("model_type") != "graph":
        raise ConfigError(f"model.embeddings: {source} is no run of link prediction")
    taken, stored = embedding_of(config["model"], spec), load_file(folder / WEIGHTS)
    places = {
        "entity": _places(folder / ENTITIES, spec.folder / ENTITIES),
        "relation": _places(folder / RELATIONS, spec.folder / RELATIONS),
    }
    unknown = int((places["entity"] < 0).sum())
    log.info("%s: %d of %d entities are not known there", source, unknown, len(places["entity"]))
    with torch.no_grad():
        for name, own in taken.embedding.named_parameters():
            _take(own, stored[name], places.get(name))
    return taken


def _places(theirs: Path, ours: Path) -> Tensor:
    """Where each of our names stands among theirs; -1 where it does not."""
    known = {name: number for number, name in enumerate(read_names(theirs))}
    names: Sequence[str] = read_names(ours)
    return torch.tensor([known.get(name, -1) for name in names])


def _take(own: Tensor, theirs: Tensor, places: Tensor | None) -> None:
    if places is None:
        if own.shape == theirs.shape:
            own.copy_(theirs)
        return
    for block in range(len(own) // len(places)):  # relations, and their inverses where these have vectors
        target, chosen = own[block * len(places) :][: len(places)], places >= 0
        count = len(theirs) // (len(own) // len(places))
        target[chosen] = theirs[block * count + places[chosen]].to(own.dtype)
