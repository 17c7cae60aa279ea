"""Tags for words without a model: always the most frequent, or the entities of training looked up."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch

from llm_lab.baselines.baseline import Baseline, Row, Source
from llm_lab.data.spec import DataSpec, Split
from llm_lab.data.tags import Entity, encode, entities, scheme_of
from llm_lab.errors import ConfigError
from llm_lab.tasks.metrics import collection
from llm_lab.tasks.token_classification import measured

Phrase = tuple[str, ...]


class Tagger(Baseline):
    """Gives tags to rows that have ``tokens`` and ``tags``."""

    @abstractmethod
    def fit(self, rows: Iterable[Row]) -> None:
        """Learn from the training rows, read once."""

    @abstractmethod
    def tag(self, words: Sequence[str], spec: DataSpec) -> list[str]:
        """A tag for each word."""

    def evaluate(
        self, data: Source, *, spec: DataSpec, metrics: Mapping[str, Any], split: Split
    ) -> dict[str, float]:
        """See `Baseline.evaluate`.

        Raises:
            ConfigError: the data have no tags per word.
        """
        if spec.problem != "tokens":
            raise ConfigError(
                f"baseline: token_classification wants a tag per word, the data have {spec.problem}"
            )
        self.fit(data.rows("train"))
        scores = collection(metrics)
        number = {name: index for index, name in enumerate(spec.labels)}
        for row in data.rows(split):
            predicted, labels = (
                torch.tensor([number[tag] for tag in tags])
                for tags in (self.tag(row["tokens"], spec), row["tags"])
            )
            scores.update(**measured(predicted, labels, torch.tensor([len(labels)]), spec))
        return {name: float(value) for name, value in scores.compute().items()}


class MajorityTag(Tagger):
    """Gives every word the most frequent tag of training: nearly always none."""

    def fit(self, rows: Iterable[Row]) -> None:
        """Count the tags."""
        self.answer = Counter(tag for row in rows for tag in row["tags"]).most_common(1)[0][0]

    def tag(self, words: Sequence[str], spec: DataSpec) -> list[str]:
        """The same tag for all."""
        return [self.answer] * len(words)


class Gazetteer(Tagger):
    """Finds the entities of training again, the longest first, with the type that each has there most often.

    A phrase that training has more often as no entity is left out.
    """

    def fit(self, rows: Iterable[Row]) -> None:
        """Collect phrases, then see how often each stands there as something else."""
        sentences = [(row["tokens"], entities(row["tags"])) for row in rows]
        counts: dict[Phrase, Counter[str]] = defaultdict(Counter)
        for words, found in sentences:
            for kind, first, last in found:
                counts[tuple(words[first : last + 1])][kind] += 1
        self._know({phrase: kinds.most_common(1)[0][0] for phrase, kinds in counts.items()})
        seen = Counter(tuple(words[a : b + 1]) for words, _ in sentences for _, a, b in self._found(words))
        kept = {p: kind for p, kind in self.types.items() if 2 * counts[p].total() >= seen[p]}
        self._know(kept)

    def tag(self, words: Sequence[str], spec: DataSpec) -> list[str]:
        """Tags of the entities that are known."""
        return encode(self._found(words), len(words), scheme_of(spec.labels))

    def _know(self, types: Mapping[Phrase, str]) -> None:
        self.types = types
        self.longest: dict[str, int] = {}  # words of the longest phrase that begins with a word
        for phrase in types:
            self.longest[phrase[0]] = max(len(phrase), self.longest.get(phrase[0], 0))

    def _found(self, words: Sequence[str]) -> Iterator[Entity]:
        """Yield known phrases from left to right, the longest at each place."""
        place = 0
        while place < len(words):
            most = min(self.longest.get(words[place], 0), len(words) - place)
            length = next((n for n in range(most, 0, -1) if tuple(words[place : place + n]) in self.types), 0)
            if length:
                yield self.types[tuple(words[place : place + length])], place, place + length - 1
            place += length or 1
