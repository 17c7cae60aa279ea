"""Several models of link prediction as one: their scores mixed, the weights chosen on validation."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from llm_lab.data.spec import DataSpec
from llm_lab.errors import ConfigError
from llm_lab.knowledge.ranking import Answers, Queries, filtered_ranks
from llm_lab.knowledge.triples import Triples
from llm_lab.models.folder import model_folder
from llm_lab.models.graph.rules import Rules
from llm_lab.models.graph.saved import read_scorer, saved
from llm_lab.models.graph.scorer import WEIGHTS, Scorer

log = logging.getLogger(__name__)
BATCH = 256  # queries that are scored together


class Joined(Scorer):
    """A weighted mean of what its parts take for likely, with weights for each relation and side.

    Linear mixing of rules with embeddings is what Meilicke, Betz and Stuckenschmidt (AKBC 2021) found to work. Rules
    speak in confidences, any other model in the softmax of its scores. The weight of a relation and side is the one
    with the best MRR on its validation triples, among which `prior` triples that behave as the whole split does are
    counted, so that few triples do not mislead.

    Args:
        spec: of the data; its entities and relations must be those of the parts.
        parts: URI or folder of a run or of its model, by name; two or more.
        steps: weights tried between one part alone and the other alone.
        prior: triples of the whole split that are counted beside a relation's own.
        limit: most validation triples that weights are chosen by.
        wrappers: of the model, for the task.
    """

    shares: Tensor  # [parts, 2 * relations] of a part against the mix of those before it

    def __init__(
        self,
        *,
        spec: DataSpec,
        parts: Mapping[str, str],
        steps: int = 20,
        prior: float = 20.0,
        limit: int = 3000,
        wrappers: dict[str, Any] | None = None,
    ) -> None:
        del wrappers
        super().__init__()
        if len(parts) < 2 or steps < 1:  # noqa: PLR2004
            raise ConfigError(
                f"model: at least two parts and one step are wanted, found {len(parts)} and {steps}"
            )
        self.spec, self.sources = spec, dict(parts)
        self.parts = torch.nn.ModuleDict()
        self.folders: dict[str, Path] = {}
        self.entities, self.relations = (int(spec.summary[name]) for name in ("entities", "relations"))
        self.steps, self.prior, self.limit = steps, prior, limit
        share = 1 / torch.arange(1, len(parts) + 1)
        self.register_buffer("shares", share[:, None].repeat(1, 2 * self.relations))

    def learn(self, triples: Triples) -> None:
        """Fetch the parts, training what was not trained yet, and choose the weights on the validation triples."""
        for name, source in self.sources.items():
            self._take(name, saved(spec=self.spec, source=source), model_folder(source))
        if not len(triples.splits.get("val", ())):
            raise ConfigError("model: weights are chosen on validation triples, and the graph has none")
        chosen = torch.from_numpy(triples.splits["val"].copy())
        if len(chosen) > self.limit:
            chosen = chosen[
                torch.randperm(len(chosen), generator=torch.Generator().manual_seed(0))[: self.limit]
            ]
        asked, known = Queries.of(chosen, self.relations), Answers.known(triples)
        for number in range(1, len(self.parts)):
            gains = [self._gains(part, known, number) for part in _batches(asked)]
            self._choose(number, asked.relations, torch.cat(gains, dim=1))

    def _take(self, name: str, part: Scorer, folder: Path) -> None:
        self.parts[name] = part.requires_grad_(False)
        self.folders[name] = folder

    def _ordered(self) -> list[Scorer]:
        return [cast("Scorer", part) for part in self.parts.values()]

    @torch.inference_mode()
    def _gains(self, asked: Queries, known: Answers, number: int) -> Tensor:
        """Reciprocal ranks [steps + 1, B] with each share of one part against the mix of those before it."""
        before = self._mixed(asked.sources, asked.relations, number)
        part = likely(self._ordered()[number], asked.sources, asked.relations)
        cells = known.cells(asked.sources, asked.relations)
        shares = torch.linspace(0, 1, self.steps + 1)
        ranks = (
            filtered_ranks(torch.lerp(before, part, float(s)), asked.targets, cells).realistic for s in shares
        )
        return torch.stack([1 / rank for rank in ranks])

    def _choose(self, number: int, relations: Tensor, gains: Tensor) -> None:
        overall = gains.mean(1)
        for relation in range(2 * self.relations):
            own = gains[:, relations == relation].sum(1) + self.prior * overall
            self.shares[number, relation] = float(own.argmax()) / self.steps
        best = int(overall.argmax())
        log.info(
            "%s: share %.2f, MRR on validation %.4f", [*self.parts][number], best / self.steps, overall[best]
        )

    def _mixed(self, sources: Tensor, relations: Tensor, parts: int) -> Tensor:
        mix: Tensor | None = None
        for number, part in enumerate(self._ordered()[:parts]):
            scores = likely(part, sources, relations)
            mix = scores if mix is None else torch.lerp(mix, scores, self.shares[number][relations][:, None])
        assert mix is not None  # noqa: S101
        return mix

    def answer(self, sources: Tensor, relations: Tensor) -> Tensor:
        """Mixed likelihoods [B, E] of queries of both directions."""
        return self._mixed(sources, relations, len(self.parts))

    def write(self, folder: Path) -> None:
        """Copy the folder of each part, and write ``weights.json``: each part's weight by signed relation."""
        save_file({"shares": self.shares.cpu().contiguous()}, folder / WEIGHTS, metadata={"format": "pt"})
        for name, source in self.folders.items():
            shutil.copytree(source, folder / name)
        weights = dict(zip(self.parts, self.weights().tolist(), strict=True))
        (folder / "weights.json").write_text(json.dumps(weights) + "\n", encoding="utf-8")

    def read(self, folder: Path) -> None:
        """Take over what `write` wrote."""
        self.shares.copy_(load_file(folder / WEIGHTS)["shares"])
        for name in self.sources:
            self._take(name, read_scorer(folder / name, self.spec), folder / name)

    def weights(self) -> Tensor:
        """The weight of each part, [parts, 2 * relations]; they sum to 1."""
        weights = torch.ones_like(self.shares)
        for number in range(1, len(self.parts)):
            weights[:number] *= 1 - self.shares[number]
            weights[number] = self.shares[number]
        return weights


def likely(part: Scorer, sources: Tensor, relations: Tensor) -> Tensor:
    """Scores [B, E] between 0 and 1."""
    if isinstance(part, Rules):
        return part.likelihoods(sources, relations)
    return part.answer(sources, relations).float().softmax(1)


def _batches(asked: Queries) -> Sequence[Queries]:
    return [
        Queries(*columns) for columns in zip(*(torch.split(column, BATCH) for column in asked), strict=True)
    ]
