"""A tag for each word: names of people, places and things."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows
from torchmetrics import MeanMetric

from llm_lab.data.alignment import IGNORED
from llm_lab.data.spec import DataSpec
from llm_lab.data.tags import spans
from llm_lab.errors import ConfigError
from llm_lab.models.folder import model_folder
from llm_lab.models.heads import Head
from llm_lab.tasks.crf import NAME, LinearChain, sentences
from llm_lab.tasks.entity_f1 import EntityTypes, Sentences
from llm_lab.tasks.metrics import collection
from llm_lab.tasks.task import Batch, Task


class TokenClassification(Task):
    """Cross-entropy over words, or the likelihood of a sentence's tags under a linear-chain CRF.

    A batch has ``labels`` [W, T] at the first pieces of words and ``words`` [B] per sentence; see
    `llm_lab.data.tagged.tag_batch`. Of the test split each type of entity is scored by itself too.

    Args:
        spec: see `Task`; its labels are tags.
        model: see `Task`.
        optimizer: see `Task`.
        scheduler: see `Task`.
        regularizers: see `Task`.
        metrics: nodes by name; they get what they name of ``told`` and ``true`` (sets of entities), ``predicted``
            and ``labels`` (tags [N] of words).
        crf: whether neighbouring tags are scored together, and only sequences of the scheme are told.

    Raises:
        ConfigError: the data have no tags per word.
    """

    head = Head.TOKEN_CLASSIFICATION

    def __init__(
        self,
        *,
        spec: DataSpec,
        model: Mapping[str, Any],
        optimizer: Mapping[str, Any],
        scheduler: Mapping[str, Any],
        metrics: Mapping[str, Any],
        regularizers: Mapping[str, Any] | None = None,
        crf: bool = False,
    ) -> None:
        if spec.problem != "tokens":
            raise ConfigError(
                f"task: token_classification wants a tag per word, the data have {spec.problem}"
            )
        model = _with_chain(model, spec) if crf else model
        super().__init__(
            spec=spec, model=model, optimizer=optimizer, scheduler=scheduler, regularizers=regularizers
        )
        self.crf = crf
        self.mean_loss = MeanMetric()
        self.metrics = collection(metrics)
        self.types = EntityTypes(spec.labels)
        self.sentences = Sentences()

    @property
    def chain(self) -> LinearChain:
        """The model's CRF."""
        return next(part for part in self.network().modules() if isinstance(part, LinearChain))

    def inputs(self, batch: Batch) -> dict[str, Any]:
        """What the model gets of a batch."""
        return {name: value for name, value in super().inputs(batch).items() if name != "words"}

    def forward(self, batch: Batch) -> Tensor:
        """Logits [W, T, C] of all windows."""
        logits: Tensor = self.network()(**self.inputs(batch)).logits
        return logits.float()

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """One loss per word [N] from logits [W, T, C]; of a CRF the sentence's, in equal parts."""
        logits, tags = outputs[told(batch)], batch["labels"][told(batch)]
        if not self.crf or not len(tags):
            return F.cross_entropy(logits, tags, reduction="none")
        emissions, mask = sentences(logits, batch["words"])
        nats = self.chain(emissions, sentences(tags, batch["words"])[0], mask)
        return (nats / batch["words"]).repeat_interleave(batch["words"])

    def decode(self, outputs: Tensor, batch: Batch) -> Tensor:
        """The tag [N] of each word, from logits [W, T, C]."""
        logits = outputs[told(batch)]
        if not self.crf:
            return logits.argmax(dim=-1)
        emissions, mask = sentences(logits, batch["words"])
        return self.chain.decode(emissions, mask)[mask]

    def validation_step(self, batch: Batch) -> None:
        """Score a batch."""
        self._score(batch)

    def test_step(self, batch: Batch) -> None:
        """Score a batch, each type of entity by itself too."""
        if found := self._score(batch):
            self.types.update(told=found["told"], true=found["true"])
            self.sentences.count(batch["index"], told=found["told"], true=found["true"])

    def _score(self, batch: Batch) -> dict[str, Any]:
        """What was measured of a batch; nothing of one without words."""
        outputs, tags = self(batch), batch["labels"][told(batch)]
        if not len(tags):
            return {}
        self.mean_loss.update(self.losses(outputs, batch).mean(), weight=len(tags))
        found = measured(self.decode(outputs, batch), tags, batch["words"], self.spec)
        self.metrics.update(**found)
        return found

    def predict_step(self, batch: Batch) -> dict[str, Tensor]:
        """Row numbers [B], words [B] and their tags [N]."""
        tags = self.decode(self(batch), batch)
        return {"index": batch["index"], "words": batch["words"], "tags": tags}

    def on_validation_epoch_end(self) -> None:
        """Log ``val/loss``, the mean per word, and the metrics."""
        self._log("val")

    def on_test_epoch_end(self) -> None:
        """The same under ``test/``, and the scores of each type: ``test/f1/PER``."""
        self._log("test", **self.types.compute())
        self.row_scores = self.sentences.parts()
        self.types.reset()
        self.sentences.reset()

    def _log(self, split: str, **more: Tensor) -> None:
        values = {"loss": self.mean_loss.compute(), **self.metrics.compute(), **more}
        self.mean_loss.reset()
        self.metrics.reset()
        self.log_dict({f"{split}/{name}": value for name, value in values.items()}, prog_bar=split == "val")


def told(batch: Batch) -> Tensor:
    """Where [W, T] the words of all sentences are told, in their order."""
    return batch["labels"] != IGNORED


def measured(predicted: Tensor, labels: Tensor, words: Tensor, spec: DataSpec) -> dict[str, Any]:
    """What the metrics may ask for, of tags [N] of sentences of so many words [B]."""
    lengths = words.tolist()
    found, true = (
        set(spans([spec.labels[tag] for tag in tags.tolist()], lengths)) for tags in (predicted, labels)
    )
    return {"told": found, "true": true, "predicted": predicted, "labels": labels}


def _with_chain(model: Mapping[str, Any], spec: DataSpec) -> dict[str, Any]:
    """The model's node with the CRF as its innermost wrapper; what it starts from may have one."""
    source = model.get("source") or model.get("init_from")
    node = {
        "_target_": "llm_lab.tasks.crf.ChainWrapper",
        "labels": list(spec.labels),
        "folder": str(model_folder(source)) if source else None,
        "order": -1000,
    }
    return {**model, "wrappers": {**(model.get("wrappers") or {}), NAME: node}}
