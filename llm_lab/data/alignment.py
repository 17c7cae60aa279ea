"""From words to tokens and back: each word is told at its first piece."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_lab.data.windows import windows
from llm_lab.errors import ConfigError

IGNORED = -100  # what torch's cross-entropy leaves out


@dataclass(frozen=True, slots=True)
class Aligned:
    """A sentence in tokens: its windows one behind the other.

    Attributes:
        input_ids: tokens of all windows, special ones included.
        word: the word told at each token, `IGNORED` where none is.
        windows: tokens of each window.
    """

    input_ids: list[int]
    word: list[int]
    windows: list[int]


class Aligner:
    """Cuts words into pieces and sentences into windows.

    Args:
        tokenizer: folder of a tokenizer of the tokenizers library.
        max_length: most tokens of a window.
        stride: most tokens that a window repeats of the one before it; None for a quarter.

    Raises:
        ConfigError: windows that have no room, or a tokenizer that cannot be used.
    """

    def __init__(self, *, tokenizer: Path, max_length: int, stride: int | None = None) -> None:
        from tokenizers import pre_tokenizers
        from transformers import AutoTokenizer

        loaded = AutoTokenizer.from_pretrained(tokenizer, trust_remote_code=False)
        if not loaded.is_fast:
            raise ConfigError("model.tokenizer: words can be found again in fast tokenizers only")
        self.pad_id: int = loaded.pad_token_id or 0
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

    def align(self, sentences: Sequence[Sequence[str]]) -> Iterator[Aligned]:
        """Yield each sentence in tokens."""
        batch = [list(words) for words in sentences]
        found = self._tokenizer.encode_batch(batch, is_pretokenized=True, add_special_tokens=False)
        for words, encoded in zip(batch, found, strict=True):
            pieces: list[list[int]] = [[] for _ in words]
            for token, word in zip(encoded.ids, encoded.word_ids, strict=True):
                pieces[word].append(token)
            yield self._windowed([part[: self._capacity] or [self._unknown] for part in pieces])

    def _windowed(self, pieces: list[list[int]]) -> Aligned:
        aligned = Aligned([], [], [])
        lengths = [len(part) for part in pieces]
        for window in windows(lengths, capacity=self._capacity, stride=self._stride):
            before = len(aligned.input_ids)
            self._add(aligned, [(token, IGNORED) for token in self._before])
            for word in range(window.start, window.end):
                told = word if window.first <= word < window.last else IGNORED
                first, *rest = pieces[word]
                self._add(aligned, [(first, told), *((token, IGNORED) for token in rest)])
            self._add(aligned, [(token, IGNORED) for token in self._behind])
            aligned.windows.append(len(aligned.input_ids) - before)
        return aligned

    @staticmethod
    def _add(aligned: Aligned, tokens: list[tuple[int, int]]) -> None:
        aligned.input_ids.extend(token for token, _ in tokens)
        aligned.word.extend(word for _, word in tokens)
