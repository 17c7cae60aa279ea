"""Tokenizers as configuration: one that exists somewhere, or one trained on the training split."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from llm_lab import assets
from llm_lab.data.readers import as_uri
from llm_lab.errors import AssetError, ConfigError

Texts = Callable[[], Iterator[str]]
METHOD = 2  # counts up whenever the same texts give other tokens than before
SPECIAL = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}


class TokenizerSource(ABC):
    """Where a tokenizer comes from."""

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Return what its tokens depend on besides the training texts, as plain values to be hashed."""

    @abstractmethod
    def save(self, folder: Path, texts: Texts) -> None:
        """Write a Hugging Face tokenizer folder; ``texts`` opens the training texts anew at each call."""


class Pretrained(TokenizerSource):
    """The tokenizer of a model folder.

    Args:
        source: URI of a Hugging Face folder, e.g. ``hf://bert-base-uncased`` or ``file://folder``.
    """

    def __init__(self, *, source: str) -> None:
        self.source = as_uri(source)

    def identity(self) -> dict[str, Any]:
        """Return the folder's content hash."""
        return {"pretrained": assets.fingerprint(self.source)}

    def save(self, folder: Path, texts: Texts) -> None:
        """Copy the tokenizer.

        Raises:
            AssetError: the folder holds no tokenizer that transformers can load.
        """
        from transformers import AutoTokenizer

        path = assets.resolve(self.source)
        try:
            tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
        except (OSError, ValueError) as error:
            raise AssetError(f"{self.source}: no tokenizer can be loaded from {path}: {error}") from None
        tokenizer.save_pretrained(folder)


class Trained(TokenizerSource):
    """A tokenizer learned from the training split.

    Args:
        kind: ``character`` (a token per character, for languages without spaces) or ``wordpiece``.
        vocab_size: most tokens, the five special ones included.
        lowercase: fold case and accents first.
        max_rows: most training rows it learns from: the words of a large table need not fit in memory.
    """

    def __init__(
        self,
        *,
        kind: Literal["character", "wordpiece"],
        vocab_size: int,
        lowercase: bool = True,
        max_rows: int = 50_000,
    ) -> None:
        if kind not in {"character", "wordpiece"}:
            raise ConfigError(f"kind: unknown kind `{kind}`; there is `character`, `wordpiece`")
        if vocab_size <= len(SPECIAL):
            raise ConfigError(f"vocab_size: {vocab_size} leaves no room beside the special tokens")
        self.kind, self.vocab_size, self.lowercase, self.max_rows = kind, vocab_size, lowercase, max_rows

    def identity(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"trained": self.kind, "by": METHOD, **{k: v for k, v in vars(self).items() if k != "kind"}}

    def save(self, folder: Path, texts: Texts) -> None:
        """Train the tokenizer and write it."""
        from transformers import PreTrainedTokenizerFast

        rows = islice(texts(), self.max_rows)
        tokenizer = self._word_pieces(rows) if self.kind == "wordpiece" else self._characters(rows)
        _wrap_in_special_tokens(tokenizer)
        names = {f"{role}_token": token for role, token in SPECIAL.items()}
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)

    def _word_pieces(self, texts: Iterator[str]) -> Any:
        from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

        from llm_lab.data.wordpieces import word_pieces

        normalizer = normalizers.BertNormalizer(lowercase=self.lowercase)
        special = list(SPECIAL.values())
        vocabulary = word_pieces(texts, normalizer=normalizer, special=special, size=self.vocab_size)
        tokenizer: Any = Tokenizer(models.WordPiece(vocabulary, unk_token=SPECIAL["unk"]))
        tokenizer.add_special_tokens(special)
        tokenizer.normalizer = normalizer
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        return tokenizer

    def _characters(self, texts: Iterator[str]) -> Any:
        from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

        tokenizer: Any = Tokenizer(models.WordLevel(unk_token=SPECIAL["unk"]))
        fold = [normalizers.Lowercase()] if self.lowercase else []
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), *fold])
        each = pre_tokenizers.Split(Regex("."), behavior="isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), each])
        tokenizer.decoder = decoders.Fuse()
        special = list(SPECIAL.values())
        trainer = trainers.WordLevelTrainer(
            vocab_size=self.vocab_size, special_tokens=special, show_progress=False
        )
        tokenizer.train_from_iterator(texts, trainer=trainer)
        return tokenizer


def _wrap_in_special_tokens(tokenizer: Any) -> None:
    from tokenizers import processors

    start, end = SPECIAL["cls"], SPECIAL["sep"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}",
        pair=f"{start} $A {end} $B:1 {end}:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in (start, end)],
    )
