"""Row transforms: a row in, a row out; applied once before tokenizing and part of the data's content hash."""

from __future__ import annotations

import html
import re
import string
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from llm_lab.data.spec import Split
from llm_lab.errors import ConfigError

Row = dict[str, Any]


class Transform(ABC):
    """Maps a row (``text``, further text columns, ``label``, ``split``) to a row.

    A subclass changes what it likes; ``text`` is what is tokenized. Chance comes from ``rng`` alone, which is
    seeded by the run's seed and the row's own text: a row gets the same numbers wherever it stands.
    """

    splits: Sequence[Split] = ("train", "val", "test")
    """The splits it touches; an augmentation says ``("train",)``."""

    @abstractmethod
    def __call__(self, row: Row, rng: np.random.Generator) -> Row:
        """Return the changed row."""

    def identity(self) -> Any:
        """Return what its work depends on beside its node, as plain values to be hashed; None for nothing."""
        return None


class Normalize(Transform):
    """Clean web text: HTML entities and tags, Unicode form, runs of white space, case.

    Args:
        form: Unicode normal form, e.g. NFC or NFKC; None leaves it.
        unescape: turn ``&amp;`` into ``&`` and so on.
        tags: keep what looks like an HTML tag.
        lowercase: fold the case.
    """

    def __init__(
        self, *, form: str | None = "NFC", unescape: bool = True, tags: bool = False, lowercase: bool = False
    ) -> None:
        if form not in {None, "NFC", "NFD", "NFKC", "NFKD"}:
            raise ConfigError(
                f"form: no Unicode normal form is called `{form}`; there is NFC, NFD, NFKC, NFKD"
            )
        self.form, self.unescape, self.tags, self.lowercase = form, unescape, tags, lowercase

    def __call__(self, row: Row, rng: np.random.Generator) -> Row:
        """Return the row with its text cleaned."""
        text = row["text"]
        text = text if self.tags else re.sub(r"</?[a-zA-Z][^<>]*>", " ", text)
        text = html.unescape(text) if self.unescape else text
        text = unicodedata.normalize(self.form, text) if self.form else text  # type: ignore[arg-type]
        text = text.lower() if self.lowercase else text
        return {**row, "text": " ".join(text.split())}


class Template(Transform):
    """Write the text into a pattern, e.g. ``"Review: {text}"`` or ``"{title}. {body}"``.

    Args:
        pattern: a format string over the row's text columns.
    """

    def __init__(self, *, pattern: str) -> None:
        self.pattern = pattern
        self.fields = [name for _, name, _, _ in string.Formatter().parse(pattern) if name is not None]
        if not all(name.isidentifier() for name in self.fields):
            raise ConfigError(f"pattern: only plain column names may stand in braces: {pattern!r}")

    def __call__(self, row: Row, rng: np.random.Generator) -> Row:
        """Return the row with the filled pattern as its text.

        Raises:
            ConfigError: the pattern names a column that the row does not have.
        """
        for name in self.fields:
            if name not in row or name in {"label", "split"}:
                names = ", ".join(f"`{key}`" for key in row if key not in {"label", "split"})
                raise ConfigError(f"pattern: no text column `{name}`; there is {names}")
        return {**row, "text": self.pattern.format(**row)}


class WordTransform(Transform):
    """Takes words of training texts away, repeats or moves them, so that tags can go with their words."""

    splits = ("train",)

    @abstractmethod
    def places(self, groups: Sequence[int], rng: np.random.Generator) -> Sequence[int]:
        """Number of the word that stands at each place of the changed row, at least one.

        ``groups`` [W] tells of each word which entity it is part of; none may leave its own.
        """

    def __call__(self, row: Row, rng: np.random.Generator) -> Row:
        """Return the row with its words changed, and its ``tags`` with them where it has ``words`` of its own."""
        if "words" not in row:
            words = row["text"].split()
            return {**row, "text": " ".join(words[place] for place in self.places([0] * len(words), rng))}
        from llm_lab.data.tags import moved, owners  # which imports scikit-learn

        groups = owners(row["tags"])
        places = self.places(groups, rng)
        words = [row["words"][place] for place in places]
        tags = moved(row["tags"], groups, places)
        return {**row, "words": words, "tags": tags, "text": " ".join(words)}


class WordDropout(WordTransform):
    """Leave out words of training texts at random: the plainest augmentation (Iyyer et al. 2015).

    Args:
        rate: probability with which each word goes; one word always stays.
    """

    def __init__(self, *, rate: float = 0.1) -> None:
        if not 0 <= rate < 1:
            raise ConfigError(f"rate: a probability below 1 is wanted, found {rate}")
        self.rate = rate

    def places(self, groups: Sequence[int], rng: np.random.Generator) -> Sequence[int]:
        """The words that stay."""
        kept = rng.random(len(groups)) >= self.rate
        if len(kept) and not kept.any():
            kept[rng.integers(len(kept))] = True
        return [int(place) for place in np.flatnonzero(kept)]


class WordNoise(WordTransform):
    """Swap, repeat and delete words of training texts at random (after Wei and Zou 2019, EDA).

    Args:
        swap: probability with which a word changes places with the next one, within an entity or outside of all.
        repeat: probability with which a word stands twice.
        delete: probability with which a word goes; one word always stays.
    """

    def __init__(self, *, swap: float = 0.05, repeat: float = 0.05, delete: float = 0.05) -> None:
        for name, rate in (("swap", swap), ("repeat", repeat), ("delete", delete)):
            if not 0 <= rate < 1:
                raise ConfigError(f"{name}: a probability below 1 is wanted, found {rate}")
        self.swap, self.repeat, self.delete = swap, repeat, delete

    def places(self, groups: Sequence[int], rng: np.random.Generator) -> Sequence[int]:
        """The words in their new order, none, one or two times each."""
        order = list(range(len(groups)))
        swaps = rng.random(len(order)) < self.swap
        for place in np.flatnonzero(swaps[:-1]):
            if groups[order[place]] == groups[order[place + 1]]:
                order[place], order[place + 1] = order[place + 1], order[place]
        chance = rng.random(len(order))
        times = np.where(chance < self.delete, 0, np.where(chance >= 1 - self.repeat, 2, 1))
        if order and not times.any():
            times[rng.integers(len(order))] = 1
        return [place for place, count in zip(order, times, strict=True) for _ in range(count)]


def apply(transforms: Mapping[str, Transform], row: Row, *, seed: Sequence[int]) -> Row:
    """Run a row through every transform that touches its split; ``seed`` is the run's and the row's."""
    for position, transform in enumerate(transforms.values()):
        if row["split"] in transform.splits:
            row = transform(row, np.random.default_rng([*seed, position]))
    return row
