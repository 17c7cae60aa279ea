"""Which entity a mention means: how usual it is, and how well its surroundings fit the text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from llm_lab.knowledge.construction.mentions import AliasIndex, Mention
from llm_lab.knowledge.fact import Value
from llm_lab.knowledge.names import ALIAS, LABEL
from llm_lab.knowledge.store import Store

Vectors = npt.NDArray[np.float32]
Encoder = Callable[[Sequence[str]], Vectors]
SHARPNESS = 10.0  # of the softmax over candidates; cosines of sentences lie close together
PRIOR = 0.05  # what a tenfold degree is worth beside a cosine
NAMING = (LABEL, ALIAS)
DESCRIBED_BY = 12  # facts that describe an entity


@dataclass(frozen=True, slots=True)
class Linked:
    """A mention and the entity that it means, with the confidence from 0 to 1."""

    mention: Mention
    entity: str
    confidence: float


class Linker:
    """Links the names in texts to the entities of a graph.

    Args:
        store: the graph.
        encoder: texts -> vectors [N, D] of length one; None ranks candidates by their degree alone.
        near: find misspelt names as well.
        classes: find names of classes as well: "country", where the graph says that France is one.
    """

    def __init__(
        self, *, store: Store, encoder: Encoder | None = None, near: bool = False, classes: bool = False
    ) -> None:
        self.store, self.encoder = store, encoder
        names = [*store.aliases(), *((name, name) for name in store.degrees)]
        left_out = frozenset[str]() if classes else store.classes()
        self.index = AliasIndex(aliases=[one for one in names if one[1] not in left_out], near=near)
        self._described: dict[str, Vectors] = {}

    def link(self, text: str) -> list[Linked]:
        """The entities of a text, in their order."""
        mentions = self.index.find(text)
        several = any(len(mention.candidates) > 1 for mention in mentions)
        context = self.encoder([text])[0] if self.encoder and several else None
        return [self._best(mention, context) for mention in mentions]

    def _best(self, mention: Mention, context: Vectors | None) -> Linked:
        scores = np.array([self._score(name, context) for name in mention.candidates])
        shares = np.exp(SHARPNESS * (scores - scores.max()))
        best = int(shares.argmax())
        confidence = float(shares[best] / shares.sum()) * mention.likeness
        return Linked(mention, mention.candidates[best], confidence)

    def _score(self, name: str, context: Vectors | None) -> float:
        usual = PRIOR * math.log10(1 + self.store.degrees.get(name, 0))
        return usual if context is None else usual + float(context @ self._vector(name))

    def _vector(self, name: str) -> Vectors:
        if name not in self._described and self.encoder:
            self._described[name] = self.encoder([describe(self.store, name)])[0]
        return self._described[name]


def describe(store: Store, name: str) -> str:
    """An entity in words: its label, and what the first of its facts say."""
    told = (fact for fact in store.facts(name, split="train") if fact.relation not in NAMING)
    parts = []
    for fact in islice(told, DESCRIBED_BY):
        tail = fact.tail.text if isinstance(fact.tail, Value) else store.label(fact.tail)
        parts.append(f"{store.label(fact.relation).rpartition(':')[2]} {tail}".replace("_", " "))
    return ", ".join([store.label(name), *sorted(parts)])


class SentenceEncoder:
    """Vectors of length one from a text encoder.

    Args:
        source: asset URI of a Hugging Face folder.
        max_length: most tokens of a text.
    """

    def __init__(self, *, source: str, max_length: int = 64) -> None:
        from transformers import AutoModel, AutoTokenizer

        from llm_lab import assets

        folder = assets.saved_in(assets.resolve(source))
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        self.model: Any = AutoModel.from_pretrained(folder, trust_remote_code=False).eval()
        self.max_length = max_length

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """Vectors [N, D]."""
        from llm_lab.models.sentence import embed_texts

        found = embed_texts(
            self.model, self.tokenizer, texts, pooling="mean", normalize=True, max_length=self.max_length
        )
        vectors: Vectors = found.numpy().astype(np.float32)
        return vectors
