"""Link prediction: which entity completes a triple."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor

from llm_lab.data.spec import DataSpec
from llm_lab.errors import ConfigError
from llm_lab.knowledge.ranking import Answers, Queries, Ranks, filtered_ranks
from llm_lab.knowledge.triples import NEGATIVES, Triples, read_triples
from llm_lab.models.graph.embedding import Embedding
from llm_lab.models.graph.saved import write_scorer
from llm_lab.models.graph.scorer import Contrasting, Scorer, device_of
from llm_lab.models.heads import Head
from llm_lab.tasks.link_losses import Loss, Right, against_all, against_some
from llm_lab.tasks.link_metrics import Asked, by_triple
from llm_lab.tasks.link_tables import by_kind, by_relation, classification, given_away, interval
from llm_lab.tasks.metrics import collection
from llm_lab.tasks.task import Batch, Task

SCORED = 512  # triples that are scored together for classification
Objective = Literal["one_vs_all", "k_vs_all", "negative_sampling", "contrastive"]


class LinkPrediction(Task):
    """Both ends of every triple are asked for; ranks are filtered and aware of ties.

    A model without anything to train (rules) learns by `Scorer.learn` alone, and no step is made.

    Args:
        spec: see `Task`.
        model: see `Task`; builds a `Scorer`.
        optimizer: see `Task`.
        scheduler: see `Task`.
        metrics: nodes by name, see `llm_lab.tasks.link_metrics`.
        regularizers: see `Task`.
        objective: ``one_vs_all`` sets the right entity of each query against all entities, ``k_vs_all`` all right
            ones of each distinct query (Dettmers et al. 2018, https://arxiv.org/abs/1707.01476), and
            ``negative_sampling`` the right one against a few drawn at random. The data follow it. A model that
            reads texts brings its own, ``contrastive``: the right one against the other entities of the batch.
        loss: see `llm_lab.tasks.link_losses`.
        label_smoothing: share of the target that is spread over all entities; not with negative sampling.
        negatives: entities drawn for each query.
        adversarial_temperature: of the weights of the negatives.
    """

    head = Head.ENCODER

    def __init__(
        self,
        *,
        spec: DataSpec,
        model: Mapping[str, Any],
        optimizer: Mapping[str, Any],
        scheduler: Mapping[str, Any],
        metrics: Mapping[str, Any],
        regularizers: Mapping[str, Any] | None = None,
        objective: Objective = "one_vs_all",
        loss: Loss = "cross_entropy",
        label_smoothing: float = 0.0,
        negatives: int = 64,
        adversarial_temperature: float = 1.0,
    ) -> None:
        super().__init__(
            spec=spec, model=model, optimizer=optimizer, scheduler=scheduler, regularizers=regularizers
        )
        if spec.problem != "triples":
            raise ConfigError(f"task: link_prediction wants triples of a graph, the data have {spec.problem}")
        if negatives < 1:
            raise ConfigError(f"task.negatives: at least 1 is wanted, found {negatives}")
        self.objective, self.loss, self.label_smoothing = objective, loss, label_smoothing
        self.negatives, self.adversarial_temperature = negatives, adversarial_temperature
        self.asked = Asked()
        self.metrics = collection(metrics)
        self.node = model

    @cached_property
    def triples(self) -> Triples:
        """The graph."""
        return read_triples(self.spec.folder)

    @cached_property
    def known(self) -> Answers:
        """All known answers, for the filter."""
        return Answers.known(self.triples)

    @cached_property
    def taught(self) -> Answers:
        """The answers that the training triples give."""
        return Answers(triples=self.triples.splits["train"], relations=len(self.triples.relations))

    def scorer(self) -> Scorer:
        """The model."""
        return cast("Scorer", self.network())

    def configure_model(self) -> None:
        """As `Task.configure_model`; a model that is no `Scorer` is refused."""
        super().configure_model()
        if not isinstance(self.model, Scorer):
            raise ConfigError(
                f"model: link_prediction wants a scorer of triples, not {type(self.model).__name__}"
            )
        if self.model.trains and isinstance(self.model, Contrasting) != (self.objective == "contrastive"):
            raise ConfigError(
                f"task.objective: {type(self.model).__name__} does not learn by `{self.objective}`; `contrastive` "
                "is for models that read texts, and they learn by nothing else"
            )

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """As `Task.configure_optimizers`; none where nothing trains."""
        if not self.scorer().trains:
            return cast("OptimizerLRSchedulerConfig", None)
        return super().configure_optimizers()

    def on_fit_start(self) -> None:
        """Let the model learn what needs no gradient."""
        self.scorer().learn(self.triples)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> int | None:
        """Leave the training of a model without anything to train at once."""
        if self.scorer().trains:
            return None
        self.trainer.should_stop = True
        return -1

    def forward(self, batch: Batch) -> Tensor:
        """Losses of the rows of a training batch [B], penalties included."""
        network = self.network()
        if isinstance(network, Contrasting):
            asked = Queries.of(batch["triples"], network.relations)
            return network.contrast(asked, self.taught).view(2, -1).mean(0)
        model = cast("Embedding", network)
        if self.objective == "k_vs_all":
            return self._of_queries(model, batch["queries"])
        asked = Queries.of(batch["triples"], model.relations)
        queries, penalties = model.asked(asked.sources, asked.relations)
        if self.objective == "negative_sampling":
            losses = against_some(
                model,
                queries,
                asked.targets,
                loss=self.loss,
                negatives=self.negatives,
                temperature=self.adversarial_temperature,
            )
        else:
            right = Right.one_each(asked.targets)
            losses = against_all(model, queries, right, loss=self.loss, smoothing=self.label_smoothing)
        return (losses + penalties).view(2, -1).mean(0)

    def _of_queries(self, model: Embedding, asked: Tensor) -> Tensor:
        sources, relations = asked.unbind(1)
        right = Right.several(self.taught.cells(sources, relations), len(asked), self.loss)
        queries, penalties = model.asked(sources, relations)
        return against_all(model, queries, right, loss=self.loss, smoothing=self.label_smoothing) + penalties

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Those that `forward` gives."""
        return outputs

    def counted(self, model: Any, inputs: Batch) -> Any:
        """A batch asks both questions of each of its triples.

        Raises:
            NotImplementedError: the model reads texts, and inputs without values have none.
        """
        if isinstance(model, Contrasting):
            raise NotImplementedError("what texts cost follows from the values of a batch")
        sources, relations = next(iter(inputs.values()))[:, :2].unbind(1)
        tails = model.score_tails(sources, relations % model.relations)
        return tails if "queries" in inputs else [tails, model.score_heads(relations, sources)]

    def validation_step(self, batch: Batch) -> None:
        """Rank both ends of the triples of a batch, in single precision."""
        model = self.scorer()
        asked = Queries.of(batch["triples"], model.relations)
        with torch.autocast(self.device.type, enabled=False):
            scores = model.answer(asked.sources, asked.relations).float()
        known = self.known.cells(asked.sources, asked.relations)
        ranks = filtered_ranks(scores, asked.targets, known)
        losses = torch.logsumexp(scores, 1) - scores.gather(1, asked.targets[:, None])[:, 0]
        rows = batch["index"].repeat(2)
        self.asked.update(index=rows, relations=asked.relations, losses=losses, **ranks._asdict())

    def test_step(self, batch: Batch) -> None:
        """As in validation."""
        self.validation_step(batch)

    def on_validation_epoch_end(self) -> None:
        """Log ``val/loss`` and the metrics over the whole split."""
        self._log("val")

    def on_test_epoch_end(self) -> None:
        """The same under ``test/``, with an interval, by relation, and of triples that are known to be false."""
        relations, ranks = self._log("test")
        self.row_scores = by_triple(ranks)
        low, high = interval(1 / ranks.realistic)
        more = {"mrr_low": low, "mrr_high": high, **self._told_apart(), **given_away(self.triples)}
        self.log_dict({f"test/{name}": value for name, value in more.items()})
        self.tables = {
            "By kind of relation": by_kind(ranks, relations, self.triples),
            "By relation": by_relation(ranks, relations, self.triples),
        }

    def _log(self, split: str) -> tuple[Tensor, Ranks]:
        found = self.asked.compute()
        self.asked.reset()
        ranks = Ranks(found["optimistic"], found["pessimistic"])
        self.metrics.update(ranks=ranks, heads=found["relations"] >= len(self.triples.relations))
        values = {"loss": found["losses"].mean(), **self.metrics.compute()}
        self.metrics.reset()
        self.log_dict({f"{split}/{name}": value for name, value in values.items()}, prog_bar=split == "val")
        return found["relations"], ranks

    def _told_apart(self) -> dict[str, float]:
        """Accuracy and F1 of triple classification; nothing where the graph has no false triples."""
        names = [name for split in ("val", "test") for name in (split, split + NEGATIVES)]
        sets = {**self.triples.splits} | {
            split + NEGATIVES: ids for split, ids in self.triples.negatives.items()
        }
        if not all(len(sets.get(name, ())) for name in names):
            return {}
        return classification({name: self._scores(sets[name]) for name in names}, sets)

    def _scores(self, ids: np.ndarray) -> Tensor:
        model, device = self.scorer(), device_of(self.scorer())
        parts = torch.split(torch.from_numpy(np.array(ids, np.int64)), SCORED)
        with torch.inference_mode(), torch.autocast(device.type, enabled=False):
            return torch.cat([model.score(part.to(device)).float().cpu() for part in parts])

    def save_artifact(self, folder: Path) -> None:
        """Write the model, the names of entities and relations, and what they were made from."""
        if self.global_rank == 0:
            node = {key: value for key, value in self.node.items() if key != "wrappers"}
            write_scorer(
                folder,
                model=self.scorer().served(),
                node=self.scorer().described(node),
                triples=self.triples,
                spec=self.spec,
                task=type(self).__name__,
            )
