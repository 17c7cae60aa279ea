"""The data module: fetch, clean and tokenize once, then serve batches."""

from __future__ import annotations

import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pytorch_lightning import LightningDataModule

from llm_lab.data.cache import DONE, content_hash, prepared
from llm_lab.data.loader import BatchLoader, TrainLoader
from llm_lab.data.order import Cut
from llm_lab.data.padding import padding_share
from llm_lab.data.rejects import NAME as REJECTED
from llm_lab.data.spec import DataSpec, Split
from llm_lab.data.table import Table
from llm_lab.errors import ConfigError, DataError
from llm_lab.strategies.parallel import replica

TOKENIZER = "tokenizer"
log = logging.getLogger(__name__)


class DataModule(LightningDataModule, ABC):
    """Base of all data modules; a subclass says what its data depend on and how they are made.

    Args:
        batch_size: rows per micro-batch and rank.
        seed: seed of the order of the batches.

    Attributes:
        shares: of the rows that a split other than the training one is to get; one that gets none is warned of.
        padded: whether rows differ in length, so that batches are padded.
    """

    shares: Mapping[str, float] = {}
    padded = True

    def __init__(self, *, batch_size: int, seed: int) -> None:
        super().__init__()
        if batch_size < 1:
            raise ConfigError(f"data.batch_size: at least 1 is wanted, found {batch_size}")
        self.batch_size, self.seed = batch_size, seed
        self._spec: DataSpec | None = None
        self._train_loader: TrainLoader | None = None
        self._position: dict[str, Any] = {}
        self._folder = Path()

    @abstractmethod
    def recipe(self) -> Mapping[str, Any]:
        """Return everything the prepared data depend on, as plain values: it is hashed."""

    @abstractmethod
    def make(self, folder: Path, fingerprint: str) -> DataSpec:
        """Write the rows of each split and ``tokenizer/`` into ``folder`` and describe them."""

    @abstractmethod
    def table(self, folder: Path, split: str, spec: DataSpec) -> Table:
        """The rows of a split, as `make` wrote them into ``folder``."""

    @abstractmethod
    def raw(self, folder: Path, split: str, spec: DataSpec) -> Iterator[dict[str, Any]]:
        """Yield what the baselines and the report get to see of each row of a split, in the table's order."""

    @property
    def spec(self) -> DataSpec:
        """The description of the prepared data; prepares them where nobody has."""
        return self._spec or self.prepare()

    def prepare(self) -> DataSpec:
        """Make the data where their content hash is not cached yet, and open them; harmless when repeated.

        Raises:
            AssetError: a source cannot be fetched.
            DataError: a table cannot be used.
        """
        if self._spec is None:
            digest = content_hash(self.recipe())
            self._folder = prepared(digest, lambda folder: _write_spec(folder, self.make(folder, digest)))
            spec = _read_spec(self._folder)
            for split in (
                split for split, share in self.shares.items() if share and not spec.sizes.get(split)
            ):
                log.warning("data.split.%s: no row fell to it; there are %d", split, sum(spec.sizes.values()))
            self._spec = replace(spec, summary={**spec.summary, **self._padding(spec)})
        return self._spec

    def _padding(self, spec: DataSpec) -> dict[str, Any]:
        splits = spec.sizes if self.padded else ()
        shares = {split: padding_share(self._loader(split, spec), self.batch_size) for split in splits}
        return {"padding": shares} if shares else {}

    def prepare_data(self) -> None:
        """Lightning's hook."""
        self.prepare()

    def setup(self, stage: str) -> None:
        """Lightning's hook, on every rank."""
        self.prepare()

    @property
    def rejected(self) -> Path | None:
        """The list of rows that could not be used; None where all could."""
        path = self._folder / REJECTED
        return path if self.spec and path.is_file() else None

    def train_dataloader(self) -> TrainLoader:
        """Batches in random order, of nearly equal lengths."""
        if not self.spec.sizes.get("train"):
            sources = ", ".join(map(str, self.spec.summary.get("sources", ())))
            raise DataError(
                f"there is no training split: data.source names none, or all its rows were dropped ({sources})"
            )
        loader = self._training(self.spec)
        if self._position:
            loader.load_state_dict(self._position)
        self._train_loader = loader
        return loader

    def state_dict(self) -> dict[str, Any]:
        """Where the training loader stands.

        Lightning stores a loader's state too, but does not restore it where an optimizer has asked for the number
        of steps before (``estimated_stepping_batches``); a data module's state is restored before anything else.
        """
        return self._train_loader.state_dict() if self._train_loader else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the position for the training loader to come."""
        self._position = state_dict

    def val_dataloader(self) -> BatchLoader | list[BatchLoader]:
        """Batches of the validation split, every row once; an empty list where there is none."""
        return self._loader("val", self.spec) if self.spec.sizes.get("val") else []

    def test_dataloader(self) -> BatchLoader | list[BatchLoader]:
        """Batches of the test split, every row once; an empty list where there is none."""
        return self._loader("test", self.spec) if self.spec.sizes.get("test") else []

    def rows(self, split: Split) -> Iterator[dict[str, Any]]:
        """Yield the raw rows of a split with their ``index``; none of a split that there is not."""
        spec = self.spec
        if spec.sizes.get(split):
            for index, row in enumerate(self.raw(self._folder, split, spec)):
                yield {**row, "index": index}

    def _loader(self, split: str, spec: DataSpec) -> BatchLoader:
        if split == "train":
            return self._training(spec)
        table = self.table(self._folder, split, spec)
        return BatchLoader(table=table, cut=lambda: self._cut(train=False))

    def _training(self, spec: DataSpec) -> TrainLoader:
        return TrainLoader(
            table=self.table(self._folder, "train", spec),
            cut=lambda: self._cut(train=True),
            seed=self.seed,
            stop=self._train_limit,
        )

    def _cut(self, *, train: bool) -> Cut:
        if self.trainer is None:
            return Cut(batch_size=self.batch_size)
        rank, replicas = replica(self.trainer)
        return Cut(
            batch_size=self.batch_size,
            accumulate=self.trainer.accumulate_grad_batches if train else 1,
            world_size=replicas,
            rank=rank,
        )

    def _train_limit(self) -> int | None:
        batches = self.trainer.num_training_batches if self.trainer else None
        return None if batches is None or batches == float("inf") else int(batches)


def _write_spec(folder: Path, spec: DataSpec) -> None:
    text = json.dumps(asdict(spec), default=str, ensure_ascii=False, indent=1)
    (folder / DONE).write_text(text, encoding="utf-8")


def _read_spec(folder: Path) -> DataSpec:
    facts = json.loads((folder / DONE).read_text(encoding="utf-8"))
    lists = {name: tuple(facts[name]) for name in ("labels", "class_counts", "modalities")}
    return DataSpec(**{**facts, **lists, "tokenizer": folder / TOKENIZER, "folder": folder})
