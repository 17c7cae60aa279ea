"""Questions that the entities of a graph answer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from llm_lab.data.spec import DataSpec
from llm_lab.errors import ConfigError
from llm_lab.knowledge.ranking import Ranks
from llm_lab.knowledge.triples import Triples, read_triples
from llm_lab.models.graph.reader import Parts, Reader, Reading
from llm_lab.models.graph.reader_folder import write_reader
from llm_lab.models.heads import Head
from llm_lab.tasks.link_tables import interval
from llm_lab.tasks.metrics import collection
from llm_lab.tasks.question_ranks import AskedQuestions, answer_ranks, hits_at_1, mixtures, paths_table
from llm_lab.tasks.task import Batch, Task


class GraphQuestions(Task):
    """All entities of the graph are ranked as the answer; of several right ones the best placed counts.

    Every part of the reader learns by itself: text and embeddings the right answers, paths the relations of the gold
    path. How the parts are mixed is chosen at each validation, by the MRR of its questions.

    Args:
        spec: see `Task`.
        model: see `Task`; builds a `Reader`.
        optimizer: see `Task`.
        scheduler: see `Task`.
        metrics: nodes by name, see `llm_lab.tasks.link_metrics`.
        regularizers: see `Task`.
        mixing: steps between a weight of nothing and all, of the weights that are tried.
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
        mixing: int = 10,
    ) -> None:
        super().__init__(
            spec=spec, model=model, optimizer=optimizer, scheduler=scheduler, regularizers=regularizers
        )
        if mixing < 1:
            raise ConfigError(f"task.mixing: at least 1 is wanted, found {mixing}")
        self.mixing = mixing
        self.asked = AskedQuestions()
        self.metrics = collection(metrics)

    @cached_property
    def triples(self) -> Triples:
        """The graph."""
        return read_triples(self.spec.folder)

    def reader(self) -> Reader:
        """The model."""
        return cast("Reader", self.network())

    def configure_model(self) -> None:
        """As `Task.configure_model`; a model that reads no questions over a graph is refused."""
        super().configure_model()
        if not isinstance(self.model, Reader):
            raise ConfigError(
                f"model: graph_questions wants a reader over a graph, not a {type(self.model).__name__}; take "
                "model=graph_reader"
            )

    def inputs(self, batch: Batch) -> dict[str, Any]:
        """Both forms of the questions, and their topics."""
        return {name: batch[name] for name in READ}

    def read(self, batch: Batch) -> Reading:
        """What the model makes of a batch."""
        reading: Reading = self.network()(**self.inputs(batch))
        return reading

    def forward(self, batch: Batch) -> Tensor:
        """Losses of the questions of a batch [B], of all parts together."""
        return self._losses(self.read(batch), batch)

    def _losses(self, reading: Reading, batch: Batch) -> Tensor:
        found = torch.zeros(len(batch["topics"]), device=batch["topics"].device)
        for name, likely in reading.parts.items():
            found = found + (
                self._of_paths(reading, batch) if name == "paths" else _of_answers(likely, batch)
            )
        return found

    def _of_paths(self, reading: Reading, batch: Batch) -> Tensor:
        """Cross-entropy [B] of the relations of the gold path, as far as the model walks."""
        steps = cast("Tensor", reading.steps)
        gold = F.pad(
            batch["steps"], (0, max(0, steps.shape[1] - batch["steps"].shape[1])), value=steps.shape[2] - 1
        )
        gold = gold[:, : steps.shape[1]]
        return F.nll_loss(steps.flatten(0, 1), gold.flatten(), reduction="none").view(gold.shape).sum(1)

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Those that `forward` gives."""
        return outputs

    def counted(self, model: Any, inputs: Batch) -> Any:
        """The encoder reads what its parts need."""
        return model(**{name: inputs[name] for name in READ})

    def validation_step(self, batch: Batch) -> None:
        """Rank the answers of a batch under every mixture."""
        self._step(batch, mixtures(len(self.reader().reads), self.mixing))

    def test_step(self, batch: Batch) -> None:
        """Rank under the mixture that was chosen, and by each part alone."""
        reader = self.reader()
        alone = torch.eye(len(reader.reads)) if len(reader.reads) > 1 else torch.empty(0, len(reader.reads))
        self._step(batch, torch.cat([reader.weights.cpu()[None], alone]))

    def _step(self, batch: Batch, tried: Tensor) -> None:
        if not len(batch["topics"]):
            return
        reading = self.read(batch)
        ranks = [self._ranks(reading.parts, weights, batch) for weights in tried]
        self.asked.update(
            index=batch["index"],
            losses=self._losses(reading, batch),
            steps=batch["steps"],
            optimistic=torch.stack([one.optimistic for one in ranks], 1),
            pessimistic=torch.stack([one.pessimistic for one in ranks], 1),
        )

    def _ranks(self, parts: Parts, weights: Tensor, batch: Batch) -> Ranks:
        scores = self.reader().mixed(parts, weights)
        return answer_ranks(scores, batch["answer_rows"], batch["answers"])

    def on_validation_epoch_end(self) -> None:
        """Choose the mixture; log ``val/loss`` and the metrics under it."""
        found = self.asked.flush()
        tried = mixtures(len(self.reader().reads), self.mixing)
        best = int((1 / found.ranks.realistic).mean(0).argmax())
        self.reader().weights.copy_(tried[best])
        self._log("val", found.losses, found.column(best))

    def on_test_epoch_end(self) -> None:
        """The metrics under ``test/``, with an interval, of each part alone, and by path."""
        found = self.asked.flush()
        whole = found.column(0)
        self._log("test", found.losses, whole)
        worth = {"hits@1": (whole.realistic <= 1).double(), "mrr": 1 / whole.realistic}
        self.row_scores = {name: torch.stack([one, torch.ones_like(one)], -1) for name, one in worth.items()}
        low, high = interval(worth["hits@1"], questions=1)
        more = {"hits@1_low": low, "hits@1_high": high}
        alone = enumerate(self.reader().reads if found.ranks.optimistic.shape[1] > 1 else (), start=1)
        parts = {name: hits_at_1(found.column(number)) for number, name in alone}
        self.log_dict({f"test/{name}": value for name, value in more.items()})
        self.log_dict({f"test/hits@1/{name}": value for name, value in parts.items()})
        weights = dict(zip(self.reader().reads, self.reader().weights.tolist(), strict=True))
        self.tables = {
            "By part": [
                {"part": name, "weight": weights[name], "hits@1": hit} for name, hit in parts.items()
            ],
            "By relations of the path": paths_table(whole, found.steps, self.triples),
        }

    def _log(self, split: str, losses: Tensor, ranks: Ranks) -> None:
        self.metrics.update(ranks=ranks, heads=torch.zeros(len(losses), dtype=torch.bool))
        values = {"loss": losses.mean(), **self.metrics.compute()}
        self.metrics.reset()
        self.log_dict({f"{split}/{name}": value for name, value in values.items()}, prog_bar=split == "val")

    def exported(self, module: Any) -> Any:
        """The encoder, which plain transformers reads."""
        return module.encoder

    def save_artifact(self, folder: Path) -> None:
        """As `Task.save_artifact` of the encoder; heads, embedding and graph lie beside it."""
        super().save_artifact(folder)
        if self.global_rank == 0:
            write_reader(folder, self.reader(), self.spec)


READ = ("input_ids", "attention_mask", "masked_ids", "masked_mask", "topics")


def _of_answers(likely: Tensor, batch: Batch) -> Tensor:
    """Cross-entropy [B] against an even distribution over the right answers."""
    rows = batch["answer_rows"]
    shares = 1 / torch.bincount(rows, minlength=len(likely)).clamp(min=1).to(likely)
    return torch.zeros_like(shares).index_add(0, rows, -likely[rows, batch["answers"]] * shares[rows])
