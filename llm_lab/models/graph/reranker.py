"""The likeliest answers of another model, read once more together with the question by a cross-encoder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from llm_lab.config import build
from llm_lab.data.spec import DataSpec
from llm_lab.errors import ConfigError
from llm_lab.knowledge.ranking import Answers, Queries
from llm_lab.knowledge.triples import Triples, read_triples
from llm_lab.models.folder import model_folder
from llm_lab.models.freeze import Freeze
from llm_lab.models.graph.bi_encoder import ENCODER
from llm_lab.models.graph.embedding import sizes_of
from llm_lab.models.graph.entity_texts import Names
from llm_lab.models.graph.saved import read_scorer, saved
from llm_lab.models.graph.scorer import WEIGHTS, Contrasting, Scorer
from llm_lab.models.graph.text_encoder import TextEncoder

FIRST = "first"  # folder of the first model in that of this one


class Reranker(Contrasting):
    """A cross-encoder over the first `k` answers of another model (Nogueira and Cho 2019, https://arxiv.org/abs/1901.04085).

    It reads question and answer as one text, so that each word of one sees the other, which is too dear for all
    entities. It is taught the right answer against wrong ones that the first model ranks among its `k` best. Its
    score is added to that of the first; what the first leaves behind stays behind.

    Args:
        spec: of the data; its entities and relations must be those of the first model.
        first: URI or folder of a run of link prediction or of its model.
        source: URI or folder of the pretrained encoder; None in a saved model, which brings its own.
        licence: of the encoder's weights.
        names: node of what is read of an entity, see `Names`; None for its name alone; neighbours are not read.
        k: answers that are read again.
        negatives: wrong answers that a question of training is set against.
        weight: of this model's score beside that of the first.
        dropout: of the encoder; None keeps its own.
        freeze: see `llm_lab.models.freeze.freeze_parameters`.
        wrappers: of the model, for the task.
    """

    def __init__(
        self,
        *,
        spec: DataSpec,
        first: str,
        source: str | None,
        licence: str = "",
        names: Mapping[str, Any] | None = None,
        k: int = 20,
        negatives: int = 4,
        weight: float = 1.0,
        dropout: float | None = None,
        freeze: Freeze = None,
        wrappers: dict[str, Any] | None = None,
    ) -> None:
        del wrappers
        super().__init__()
        if not 1 <= negatives < k:
            raise ConfigError(f"model.negatives: from 1 to k - 1 = {k - 1} are wanted, found {negatives}")
        self.spec, self.origin = spec, first
        self.names = build(names, expected=Names, key="model.names") if names else Names()
        self.entities, self.relations = sizes_of(spec)
        self.k, self.negatives, self.weight = k, negatives, weight
        if source is not None:
            self._begin(TextEncoder(source=source, licence=licence, dropout=dropout, freeze=freeze))

    def _begin(self, encoder: TextEncoder) -> None:
        triples = read_triples(self.spec.folder)
        self.encoder, self.judge = encoder, nn.Linear(encoder.width, 1)
        self.taught = Answers(triples=triples.splits["train"], relations=self.relations)
        self.texts = self.names.of(triples, encoder.tokenizer)

    def learn(self, triples: Triples) -> None:
        """Fetch the first model, training it where it was not trained yet."""
        self._follow(saved(spec=self.spec, source=self.origin), model_folder(self.origin))

    def _follow(self, first: Scorer, folder: Path) -> None:
        self._first = (first.requires_grad_(False).eval(),)  # no part of this module: it is in no checkpoint
        self.folder = folder

    def contrast(self, asked: Queries, taught: Answers) -> Tensor:
        """See `Contrasting.contrast`."""
        wrong = self._best(asked.sources, asked.relations, self.k)[1]
        drawn = torch.rand(wrong.shape, device=wrong.device).argsort(1)[:, : self.negatives]
        chosen = torch.cat([asked.targets[:, None], wrong.gather(1, drawn)], 1)
        right = torch.zeros(len(chosen), dtype=torch.long, device=chosen.device)
        return F.cross_entropy(self.judged(asked.sources, asked.relations, chosen), right, reduction="none")

    def _best(self, sources: Tensor, relations: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
        """Scores of the first model [B, E], its best [B, k] but for answers of training, and theirs."""
        with torch.no_grad():
            scores = self._first[0].to(sources.device).answer(sources, relations).float()
        open_ones = scores.index_put(self.taught.cells(sources, relations), scores.new_tensor(-torch.inf))
        best, chosen = open_ones.topk(min(k, self.entities), dim=1)
        return scores, chosen, best

    def judged(self, sources: Tensor, relations: Tensor, chosen: Tensor) -> Tensor:
        """Scores [B, K] of the cross-encoder alone for of answers [B, K]."""
        asked = zip(sources.tolist(), relations.tolist(), chosen.tolist(), strict=True)
        texts = [self.texts.triple(source, kind, one) for source, kind, some in asked for one in some]
        scores: Tensor = self.judge(self.encoder.states(texts)).float()
        return scores.view(chosen.shape)

    def answer(self, sources: Tensor, relations: Tensor) -> Tensor:
        """See `Scorer.answer`; the best of the first model keep their distance from all others."""
        scores, chosen, best = self._best(sources, relations, self.k)
        again = best + self.weight * self.judged(sources, relations, chosen)
        floor = torch.where(best.isfinite(), best, torch.inf).amin(1, keepdim=True)
        lowest = torch.where(again.isfinite(), again, torch.inf).amin(1, keepdim=True)
        again = torch.where(best.isfinite(), again - lowest + floor, scores.gather(1, chosen))
        return scores.scatter(1, chosen, again)

    def described(self, node: Mapping[str, Any]) -> dict[str, Any]:
        """See `Scorer.described`; both models lie beside."""
        return {**node, "source": None}

    def write(self, folder: Path) -> None:
        """Write the encoder as a plain folder beside its last layer, and copy the folder of the first model."""
        self.encoder.write(folder / ENCODER)
        shutil.copytree(self.folder, folder / FIRST)
        tensors = {f"judge.{name}": one.detach().cpu() for name, one in self.judge.state_dict().items()}
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})

    def read(self, folder: Path) -> None:
        """Take over what `write` wrote."""
        self._begin(TextEncoder(source=str(folder / ENCODER)))
        self._follow(read_scorer(folder / FIRST, self.spec), folder / FIRST)
        self.load_state_dict(load_file(folder / WEIGHTS), strict=False)
