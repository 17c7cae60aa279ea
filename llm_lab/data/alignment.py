"""From words to tokens and back: each word is told at its first piece."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llm_lab.data.annotations import Annotation
from llm_lab.data.windows import windows
from llm_lab.data.woven import pieces_of, woven_words
from llm_lab.errors import ConfigError

IGNORED = -100  # what torch's cross-entropy leaves out


@dataclass(frozen=True, slots=True)
class Aligned:
    """A sentence in tokens: its windows one behind the other.

    Attributes:
        input_ids: tokens of all windows, special ones included.
        word: the word told at each token, `IGNORED` where none is.
        windows: tokens of each window.
        entity_ids: see `llm_lab.data.annotations`.
        branches: likewise.
    """

    input_ids: list[int] = field(default_factory=list)
    word: list[int] = field(default_factory=list)
    windows: list[int] = field(default_factory=list)
    entity_ids: list[int] = field(default_factory=list)
    branches: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Unit:
    """Tokens that stay together: of a word, or one of a fact, whose number is `IGNORED`."""

    pieces: list[int]
    word: int
    entity: int = 0
    branch: int = 0


class Aligner:
    """Cuts words into pieces and sentences into windows.

    Args:
        tokenizer: folder of a tokenizer of the tokenizers library.
        max_length: most tokens of a window.
        stride: most tokens that a window repeats of the one before it; None for a quarter.
        facts: most tokens of facts in a sentence.

    Raises:
        ConfigError: windows that have no room, or a tokenizer that cannot be used.
    """

    def __init__(
        self, *, tokenizer: Path, max_length: int, stride: int | None = None, facts: int = 0
    ) -> None:
        from tokenizers import pre_tokenizers
        from transformers import AutoTokenizer

        loaded = AutoTokenizer.from_pretrained(tokenizer, trust_remote_code=False)
        if not loaded.is_fast:
            raise ConfigError("model.tokenizer: words can be found again in fast tokenizers only")
        self.pad_id: int = loaded.pad_token_id or 0
        self._pieces, self._facts = pieces_of(loaded), facts
        self._unknown = self.pad_id if loaded.unk_token_id is None else loaded.unk_token_id
        self._tokenizer: Any = loaded.backend_tokenizer
        if isinstance(
            self._tokenizer.pre_tokenizer, pre_tokenizers.ByteLevel
        ):  # a word begins with its blank
            self._tokenizer.pre_tokenizer.add_prefix_space = True
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._before, self._behind = self._special()
        self._capacity = max_length - len(self._before) - len(self._behind)
        self._stride = max_length // 4 if stride is None else stride
        if not 0 <= self._stride < self._capacity:
            raise ConfigError(f"data.stride: {self._stride} leaves no room in windows of {max_length} tokens")

    def _special(self) -> tuple[list[int], list[int]]:
        encoded = self._tokenizer.encode("a")
        inner = [place for place, special in enumerate(encoded.special_tokens_mask) if not special]
        return encoded.ids[: inner[0]], encoded.ids[inner[-1] + 1 :]

    def align(
        self, sentences: Sequence[Sequence[str]], annotations: Sequence[Sequence[Annotation]] = ()
    ) -> Iterator[Aligned]:
        """Yield each sentence in tokens, with what is known about its words where that is told."""
        batch = [list(words) for words in sentences]
        found = self._tokenizer.encode_batch(batch, is_pretokenized=True, add_special_tokens=False)
        for number, (words, encoded) in enumerate(zip(batch, found, strict=True)):
            pieces: list[list[int]] = [[] for _ in words]
            for token, word in zip(encoded.ids, encoded.word_ids, strict=True):
                pieces[word].append(token)
            kept = [part[: self._capacity] or [self._unknown] for part in pieces]
            known = annotations[number] if annotations else ()
            yield self._windowed(self._units(words, kept, known))

    def _units(
        self, words: list[str], pieces: list[list[int]], annotations: Sequence[Annotation]
    ) -> list[_Unit]:
        if not annotations:
            return [_Unit(part, word) for word, part in enumerate(pieces)]
        woven = woven_words(words, annotations, pieces=self._pieces, tokens=self._facts)
        columns = zip(woven.ids, woven.entities, woven.branches, strict=True)
        return [
            _Unit([number], IGNORED, 0, branch)
            if branch > 0
            else _Unit(pieces[number], number, entity, branch)
            for number, entity, branch in columns
        ]

    def _windowed(self, units: list[_Unit]) -> Aligned:
        aligned = Aligned()
        lengths = [len(unit.pieces) for unit in units]
        for window in windows(lengths, capacity=self._capacity, stride=self._stride):
            before = len(aligned.input_ids)
            self._add(aligned, _Unit(self._before, IGNORED))
            for number in range(window.start, window.end):
                self._add(aligned, units[number], told=window.first <= number < window.last)
            self._add(aligned, _Unit(self._behind, IGNORED))
            aligned.windows.append(len(aligned.input_ids) - before)
        return aligned

    @staticmethod
    def _add(aligned: Aligned, unit: _Unit, *, told: bool = False) -> None:
        length = len(unit.pieces)
        first = [unit.word if told else IGNORED] if length else []
        aligned.input_ids.extend(unit.pieces)
        aligned.word.extend([*first, *[IGNORED] * (length - len(first))])
        aligned.entity_ids.extend([unit.entity] * length)
        aligned.branches.extend([unit.branch] * length)
