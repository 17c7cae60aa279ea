"""A text about what towers see, token by token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torchmetrics import MetricCollection
from transformers import AutoTokenizer

from llm_lab.data.spec import DataSpec
from llm_lab.models.linear_cross_entropy import IGNORED
from llm_lab.tasks.causal_lm import CausalLM
from llm_lab.tasks.metrics import collection
from llm_lab.tasks.rank_metrics import Kept
from llm_lab.tasks.task import Batch, Task
from llm_lab.tasks.writing_metrics import reads_texts

SHOWN = 20  # rows in the report


class Rows(Kept):
    """Numbers of the rows of a split [N], and whether each was written as it was wanted [N]."""

    names = ("index", "right")


class Captioning(CausalLM):
    """Cross-entropy of each token of a caption behind a prefix of the inputs; in the test captions are generated.

    Args:
        spec: see `Task`.
        model: see `Task`; of towers with a language model.
        optimizer: see `Task`.
        scheduler: see `Task`.
        regularizers: see `Task`.
        metrics: nodes by name: those of `llm_lab.tasks.language_metrics`, and for the test those that compare texts,
            of torchmetrics and `llm_lab.tasks.writing_metrics`.
        num_beams: captions that are kept in mind at each token; 1 is greedy.
        max_new_tokens: of a caption; None is the longest of the data.
    """

    def __init__(
        self,
        *,
        spec: DataSpec,
        model: Mapping[str, Any],
        optimizer: Mapping[str, Any],
        scheduler: Mapping[str, Any],
        metrics: Mapping[str, Any],
        regularizers: Mapping[str, Any] | None = None,
        num_beams: int = 1,
        max_new_tokens: int | None = None,
    ) -> None:
        super().__init__(
            spec=spec,
            model=model,
            optimizer=optimizer,
            scheduler=scheduler,
            metrics=metrics,
            regularizers=regularizers,
        )
        self.metrics, self.writing = split(collection(metrics))
        self.rows = Rows()
        self.settings = {"num_beams": num_beams, "max_new_tokens": max_new_tokens or spec.max_length}
        self.tokenizer = AutoTokenizer.from_pretrained(spec.tokenizer)
        self.mistakes: list[dict[str, Any]] = []

    def configure_model(self) -> None:
        """See `Task.configure_model`; how texts are generated goes with the model."""
        super().configure_model()
        network: Any = self.model
        network.generation_config.update(**self.settings)

    def inputs(self, batch: Batch) -> dict[str, Any]:
        """All inputs, and what stands before each token."""
        return Task.inputs(self, batch)

    def test_step(self, batch: Batch) -> None:
        """Score a batch, and write its captions."""
        super().test_step(batch)
        if not len(batch["index"]):
            return
        written, wanted = self.write(batch), self.texts(batch["labels"])
        self.writing.update(preds=written, target=[[text] for text in wanted])
        right = [one == other for one, other in zip(written, wanted, strict=True)]
        self.rows.update(index=batch["index"], right=torch.tensor(right, device=self.device))
        rows = zip(batch["index"].tolist(), written, wanted, right, strict=True)
        wrong = [{"row": row, "written": one, "wanted": other} for row, one, other, fine in rows if not fine]
        self.mistakes += wrong[: SHOWN - len(self.mistakes)]

    def write(self, batch: Batch) -> list[str]:
        """A caption for each row."""
        network: Any = self.network()
        inputs = {name: value for name, value in self.inputs(batch).items() if name != "input_ids"}
        return self.texts(network.generate(**inputs))

    def texts(self, tokens: Tensor) -> list[str]:
        """What rows of token numbers [B, T] say, without special tokens."""
        known = [[int(token) for token in row if token != IGNORED] for row in tokens]
        return [text.strip() for text in self.tokenizer.batch_decode(known, skip_special_tokens=True)]

    def on_test_epoch_end(self) -> None:
        """Log likelihoods and texts under ``test/``; a table of captions that are not as wanted, for the report."""
        super().on_test_epoch_end()
        self.log_dict({f"test/{name}": value for name, value in self.writing.compute().items()})
        told = self.rows.compute()
        right = told["right"][told["index"].argsort()].double()
        self.row_scores = {"exact": torch.stack([right, torch.ones_like(right)], dim=1)}
        self.tables = {"Captions that are not as wanted": self.mistakes}
        self.mistakes = []
        self.writing.reset()
        self.rows.reset()


def split(metrics: MetricCollection) -> tuple[MetricCollection, MetricCollection]:
    """Metrics of likelihoods, and those that compare texts."""
    named = dict(metrics.items(keep_base=True))
    texts = {name: one for name, one in named.items() if reads_texts(one)}
    rest = {name: one for name, one in named.items() if name not in texts}
    return MetricCollection(rest, compute_groups=False), MetricCollection(texts, compute_groups=False)
