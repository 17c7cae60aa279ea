"""Tokenizers as configuration: one that exists somewhere, or one trained on the training split."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

from llm_lab import assets
from llm_lab.data.readers import as_uri
from llm_lab.errors import AssetError, ConfigError

Texts = Callable[[], Iterator[str]]
METHOD = 3  # counts up whenever the same texts give other tokens than before
SPECIAL = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]", "eos": "[EOS]"}
ROLES = {"bert": ("pad", "unk", "cls", "sep", "mask"), "eos": ("pad", "unk", "eos"), "none": ("pad", "unk")}
Kind = Literal["byte_bpe", "character", "unigram", "wordpiece"]
BYTES = 256  # the alphabet of byte pairs
TEMPLATES = {
    "bert": ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"),
    "eos": ("$A [EOS]", "$A [EOS] $B:1 [EOS]:1"),
    "none": ("", ""),
}
KINDS: tuple[Kind, ...] = get_args(Kind)


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
        uri = self.source
        if uri.startswith("run://"):  # of a run directory the model's folder alone counts, not its logs
            uri = f"file://{assets.saved_in(assets.resolve(uri))}"
        return {"pretrained": assets.fingerprint(uri)}

    def save(self, folder: Path, texts: Texts) -> None:
        """Copy the tokenizer.

        Raises:
            AssetError: the folder holds no tokenizer that transformers can load.
        """
        from transformers import AutoTokenizer

        path = assets.saved_in(assets.resolve(self.source))
        try:
            tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
        except (OSError, ValueError) as error:
            raise AssetError(f"{self.source}: no tokenizer can be loaded from {path}: {error}") from None
        tokenizer.save_pretrained(folder)


class Trained(TokenizerSource):
    """A tokenizer learned from the training split.

    Args:
        kind: ``wordpiece``, ``byte_bpe``, ``unigram``, or ``character`` (a token per character).
        vocab_size: most tokens, the special ones included; byte pairs begin with 256 bytes.
        lowercase: fold case, and with ``wordpiece`` accents, first.
        max_rows: most training rows it learns from: the words of a large table need not fit in memory.
        template: what stands around a text: ``bert`` ([CLS] before, [SEP] behind), ``eos`` ([EOS] behind), ``none``.
        extra_ids: tokens ``<extra_id_0>`` and so on, beyond ``vocab_size``, which stand for missing text (T5).
        whitespace: characters keep blanks and line breaks as tokens.
    """

    def __init__(
        self,
        *,
        kind: Literal["byte_bpe", "character", "unigram", "wordpiece"],
        vocab_size: int,
        lowercase: bool = True,
        max_rows: int = 50_000,
        template: Literal["bert", "eos", "none"] = "bert",
        extra_ids: int = 0,
        whitespace: bool = False,
    ) -> None:
        if kind not in KINDS:
            raise ConfigError(f"kind: unknown kind `{kind}`; there is {', '.join(f'`{k}`' for k in KINDS)}")
        if template not in ROLES:
            raise ConfigError(f"template: unknown template `{template}`; there is `bert`, `eos`, `none`")
        if whitespace and kind != "character":
            raise ConfigError(f"whitespace: only `character` can keep it as tokens, not `{kind}`")
        self.special = [SPECIAL[role] for role in ROLES[template]]
        least = len(self.special) + (BYTES if kind == "byte_bpe" else 0)
        if vocab_size <= least:
            raise ConfigError(
                f"vocab_size: {vocab_size} leaves no room beside the {least} tokens that must be"
            )
        self.kind, self.vocab_size, self.lowercase, self.max_rows = kind, vocab_size, lowercase, max_rows
        self.template, self.extra_ids, self.whitespace = template, extra_ids, whitespace

    def identity(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"trained": self.kind, "by": METHOD, **{k: v for k, v in vars(self).items() if k != "kind"}}

    def save(self, folder: Path, texts: Texts) -> None:
        """Train the tokenizer and write it."""
        from transformers import PreTrainedTokenizerFast

        from llm_lab.data.learners import LEARNERS

        tokenizer = LEARNERS[self.kind](
            islice(texts(), self.max_rows),
            special=self.special,
            size=self.vocab_size,
            lowercase=self.lowercase,
            whitespace=self.whitespace,
        )
        self._wrap(tokenizer)
        names: dict[str, Any] = {f"{role}_token": SPECIAL[role] for role in ROLES[self.template]}
        if self.extra_ids:
            names["additional_special_tokens"] = [f"<extra_id_{number}>" for number in range(self.extra_ids)]
        saved = PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, clean_up_tokenization_spaces=False, **names
        )
        saved.save_pretrained(folder)

    def _wrap(self, tokenizer: Any) -> None:
        """Put the template's tokens around every text."""
        from tokenizers import processors

        single, pair = TEMPLATES[self.template]
        tokens = [token for token in self.special if token in single]
        if single:
            numbers = [(token, tokenizer.token_to_id(token)) for token in tokens]
            tokenizer.post_processor = processors.TemplateProcessing(
                single=single, pair=pair, special_tokens=numbers
            )
