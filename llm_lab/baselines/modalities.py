"""Retrieval between modalities without a model: by chance, and by the nearest training row."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import StandardScaler, normalize
from torch import Tensor

from llm_lab.baselines.baseline import Baseline, Source
from llm_lab.data.multimodal.kind import MISSING
from llm_lab.data.spec import SAME, DataSpec, Split
from llm_lab.tasks.metrics import collection
from llm_lab.tasks.modality_pairs import flat, matched, measure
from llm_lab.tasks.ranking import compare

Floats = NDArray[np.float32]


class Rows(NamedTuple):
    """Rows of a split.

    Attributes:
        inputs: of each input its vectors, or its words.
        ids: [B, N] numbers of contents.
        present: [B, N] which of them are there.
        same: [B] numbers of what makes rows belong together.
    """

    inputs: dict[str, list[Any]]
    ids: Tensor
    present: Tensor
    same: Tensor

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]], names: list[str]) -> Rows:
        """From what a data module yields."""
        found = [(row["inputs"], [row["ids"][name] for name in names], row[SAME]) for row in rows]
        ids = torch.tensor([numbers for _, numbers, _ in found], dtype=torch.int64).reshape(-1, len(names))
        inputs = {name: [one[name] for one, _, _ in found] for name in names}
        return cls(inputs, ids, ids != MISSING, torch.tensor([same for _, _, same in found]))


class Answered(Baseline):
    """For each direction queries are given a vector among those of the answers, and measured as a model's are."""

    @abstractmethod
    def learn(self, train: Iterable[Mapping[str, Any]], names: list[str]) -> None:
        """Look at the training rows."""

    @abstractmethod
    def vectors(self, rows: Rows, one: str, other: str) -> tuple[Tensor, Tensor]:
        """Vectors [B, D] of what is asked and of what may be the answer."""

    def evaluate(
        self, data: Source, *, spec: DataSpec, metrics: Mapping[str, Any], split: Split
    ) -> dict[str, float]:
        """See `Baseline.evaluate`."""
        names = sorted(spec.inputs)
        self.learn(data.rows("train"), names)
        rows, scores = Rows.of(data.rows(split), names), collection(metrics)
        found = {}
        for one, other in permutations(range(len(names)), 2):
            vectors = dict(zip((one, other), self.vectors(rows, names[one], names[other]), strict=True))
            blank = torch.zeros_like(vectors[one])
            whole = torch.stack([vectors.get(number, blank) for number in range(len(names))], dim=1)
            told = {"vectors": whole, "ids": rows.ids, "present": rows.present, SAME: rows.same}
            pairs = matched(told, one, other).pairs
            if len(pairs.row):
                ranks = compare(pairs)[1]
                found[f"{names[one]}_to_{names[other]}"] = measure(scores, ranks, ranks)
        return {name: float(value) for name, value in flat(found).items()}


class Chance(Answered):
    """Vectors that know nothing, which is what a model must be better than.

    Args:
        width: of the vectors.
        seed: of the vectors.
    """

    def __init__(self, *, width: int = 32, seed: int = 0) -> None:
        self.width, self.chance = width, torch.Generator().manual_seed(seed)

    def learn(self, train: Iterable[Mapping[str, Any]], names: list[str]) -> None:
        """Nothing."""

    def vectors(self, rows: Rows, one: str, other: str) -> tuple[Tensor, Tensor]:
        """Any."""
        drawn = torch.randn(2, len(rows.ids), self.width, generator=self.chance)
        return drawn[0], drawn[1]


class Neighbour(Answered):
    """The answer of the training row whose query is nearest, by pixels, bands or shared words."""

    def learn(self, train: Iterable[Mapping[str, Any]], names: list[str]) -> None:
        """Keep the rows, each input as vectors of length one."""
        self.train = Rows.of(train, names)
        self.names = names
        self.spaces = {name: _Space(values) for name, values in self.train.inputs.items()}

    def vectors(self, rows: Rows, one: str, other: str) -> tuple[Tensor, Tensor]:
        """See `Answered`."""
        wanted = [self.names.index(one), self.names.index(other)]
        known = self.train.present[:, wanted].all(dim=1).numpy()
        asks, answers = self.spaces[one], self.spaces[other]
        keys = answers.of(rows.inputs[other])
        if not known.any():
            return torch.zeros(len(keys), keys.shape[1]), torch.from_numpy(keys)
        nearest = (asks.of(rows.inputs[one]) @ asks.train[known].T).argmax(axis=1)
        return torch.from_numpy(answers.train[known][nearest]), torch.from_numpy(keys)


class _Space:
    """Vectors of length one: standardized features, or words weighted by TF-IDF."""

    def __init__(self, values: list[Any]) -> None:
        self.words = isinstance(values[0], str)
        self.made = TfidfVectorizer(token_pattern=r"\S+") if self.words else StandardScaler()  # noqa: S106 - no password
        self.made.fit(values)
        self.train = self.of(values)

    def of(self, values: list[Any]) -> Floats:
        found = self.made.transform(values)
        return np.asarray(normalize(found.toarray() if self.words else found), np.float32)
