"""Readers of questions over a graph: by the text alone, by embeddings, by paths, or by all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from llm_lab.data.spec import DataSpec
from llm_lab.knowledge.triples import read_triples
from llm_lab.models.graph.embedding import Embedding, sizes_of
from llm_lab.models.graph.reader_parts import Taken, embedding_like
from llm_lab.models.graph.walk import Walker
from llm_lab.models.heads import Head
from llm_lab.models.pooled import pool, without_pooler
from llm_lab.models.text import pretrained

Reads = Literal["text", "embeddings", "paths", "joined"]
PARTS: Mapping[str, tuple[str, ...]] = {
    "text": ("text",), "embeddings": ("embeddings",), "paths": ("paths",),
    "joined": ("text", "embeddings", "paths"),
}  # fmt: skip
LEAST = 1e-9  # likelihood of an entity to which no path leads
Parts = dict[str, Tensor]


class Reading(NamedTuple):
    """What a reader makes of questions.

    Attributes:
        parts: log-likelihoods [B, E] of all entities as the answer, by part.
        steps: log-likelihoods [B, H, R + 1] of the relation of each step; None where no paths are walked.
    """

    parts: Parts
    steps: Tensor | None


class Reader(nn.Module):
    """An encoder of questions with a head for each way to the answer.

    ``text`` classifies the question as it stands into the entities. The others see it with the topic's name masked.
    ``embeddings`` makes a relation's vector of it, and compares the topic under that relation with all entities
    (EmbedKGQA, Saxena et al. 2020, https://aclanthology.org/2020.acl-main.412). ``paths`` says for each step how likely
    each relation is, and walks the graph from the topic. ``weights`` mix the parts' likelihoods.

    Args:
        encoder: of texts.
        reads: which parts there are.
        hops: steps of the longest path.
        walker: over the graph.
        embedding: of the graph, with its node, for ``embeddings``.
        dropout: of what the heads get.
    """

    weights: Tensor  # [parts]

    def __init__(
        self,
        *,
        encoder: Any,
        reads: Reads,
        hops: int,
        walker: Walker,
        embedding: Taken | None,
        dropout: float,
    ) -> None:
        super().__init__()
        self.encoder, self.reads = encoder, PARTS[reads]
        self.walker = walker
        self.embedding = embedding.embedding if embedding else None
        self.node = embedding.node if embedding else None
        width = int(encoder.config.hidden_size)
        self.dropout = nn.Dropout(dropout)
        if "text" in self.reads:
            self.answers = nn.Linear(width, walker.entities)
        if self.embedding is not None:
            size = self.embedding.relation.shape[1]
            self.embedding.relation.requires_grad = False  # the question's vector stands in its place
            self.relation = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, size))
        if "paths" in self.reads:
            self.looks = nn.Parameter(torch.randn(hops, width) * width**-0.5)
            self.steps = nn.Linear(width, walker.relations + 1)
        self.register_buffer("weights", torch.full((len(self.reads),), 1 / len(self.reads)))

    def forward(
        self,
        *,
        input_ids: Tensor,
        attention_mask: Tensor,
        masked_ids: Tensor,
        masked_mask: Tensor,
        topics: Tensor,
    ) -> Reading:
        """Read questions [B, T], [B, U] with their topics [B]."""
        whole = self._states(input_ids, attention_mask) if "text" in self.reads else None
        states = self._states(masked_ids, masked_mask) if self.reads != ("text",) else None
        count = len(topics)  # a rank without rows of its own gets one to fill its batch
        with torch.autocast(topics.device.type, enabled=False):  # scores in bfloat16 would tie
            parts: Parts = {}
            steps: Tensor | None = None
            if whole is not None:
                pooled = pool(whole, attention_mask, "mean")[:count]
                parts["text"] = self.answers(self.dropout(pooled)).log_softmax(-1)
            if states is not None and self.embedding is not None:
                pooled = pool(states, masked_mask, "mean")[:count]
                parts["embeddings"] = self._compared(self.embedding, pooled, topics)
            if states is not None and "paths" in self.reads:
                steps = self._steps(states[:count], masked_mask[:count])
                parts["paths"] = self.walker(topics, steps.exp()).clamp(min=LEAST).log()
            return Reading(parts, steps)

    def _states(self, ids: Tensor, mask: Tensor) -> Tensor:
        states: Tensor = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        return states.float()

    def _compared(self, embedding: Embedding, pooled: Tensor, topics: Tensor) -> Tensor:
        vectors = self.relation(self.dropout(pooled))
        queries = embedding.query(self.dropout(embedding.entity[topics]), vectors)
        return embedding.compare(queries).log_softmax(-1)

    def _steps(self, states: Tensor, mask: Tensor) -> Tensor:
        """A look at the words of the question for each step."""
        scores = torch.einsum("btd,hd->bht", states, self.looks).masked_fill(mask[:, None] == 0, -torch.inf)
        seen = torch.einsum("bht,btd->bhd", scores.softmax(-1), states)
        return F.log_softmax(self.steps(self.dropout(seen)), -1)

    def mixed(self, parts: Parts, weights: Tensor | None = None) -> Tensor:
        """Log-likelihoods [B, E] of all parts together; ``weights`` [parts] in the place of those that were chosen."""
        weights = self.weights if weights is None else weights
        whole = torch.stack([parts[name] for name in self.reads])
        return torch.logsumexp(whole + weights.to(whole).log()[:, None, None], 0)


def reader(
    *,
    spec: DataSpec,
    head: Head = Head.ENCODER,
    source: str,
    tokenizer: Mapping[str, Any] | None = None,
    licence: str = "",
    reads: Reads = "joined",
    embeddings: str | None = None,
    dropout: float = 0.1,
    wrappers: Mapping[str, Any] | None = None,
) -> Reader:
    """A reader over a pretrained encoder.

    Args:
        spec: of the data; its folder holds the graph.
        head: what the task asks for: an encoder.
        source: URI or folder of the encoder.
        tokenizer: node of the tokenizer, for the data module.
        licence: of the encoder's weights.
        reads: by which parts.
        embeddings: URI or folder of a run of link prediction over the same graph (a vector per entity, trained
            further here), for the part of that name.
        dropout: of what the heads get.
        wrappers: model wrappers by name, for the task.

    Raises:
        ConfigError: embeddings are wanted and not named, or no embeddings were trained there.
    """
    del tokenizer, wrappers
    wanted = "embeddings" in PARTS[reads]
    embedding = embedding_like(embeddings, spec) if wanted else None
    encoder = without_pooler(pretrained(spec=spec, head=head, source=source, licence=licence))
    return assembled(spec, encoder, reads=reads, embedding=embedding, dropout=dropout)


def assembled(
    spec: DataSpec, encoder: Any, *, reads: Reads, embedding: Taken | None, dropout: float
) -> Reader:
    """A reader of its parts, over the graph that lies in the folder of the data."""
    entities, relations = sizes_of(spec)
    triples = read_triples(spec.folder).everything
    return Reader(
        encoder=encoder,
        reads=reads,
        hops=int(spec.summary["hops"]),
        walker=Walker(triples=triples, entities=entities, relations=relations),
        embedding=embedding,
        dropout=dropout,
    )
