"""Targets that are texts: how a cell becomes one, its tokens, and how they lie in batches."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from llm_lab.data.labels import Reader, label_reader
from llm_lab.data.multimodal.cells import Text
from llm_lab.data.multimodal.kind import Array
from llm_lab.data.record import UnusableError
from llm_lab.data.table import Batch
from llm_lab.data.text_files import check_text
from llm_lab.data.window_table import to_codes
from llm_lab.errors import ConfigError

WRITTEN = "written"  # column, and name in batches, of the text itself
IGNORED = -100  # fills rows of labels up, as the library has it
APOSTROPHES = str.maketrans({"\u2019": "'", "\u02bc": "'"})


def transcript_reader(
    labels: Sequence[Any] | Mapping[str, Any] | None, *, folded: bool, target: Text | None = None
) -> Reader:
    """How a cell becomes a text.

    Args:
        labels: None, or words with the values that mean them, by which each word of a cell is read: ``{two: 2}``.
        target: cleans cells first, and says which they are; None for one column as it is.
        folded: lower case, no punctuation, single blanks: as word error rates are counted.
    """
    word = label_reader(labels, problem="single_label", separator="") if labels is not None else None

    def read(value: Any) -> str:
        if target is not None:
            value = target.clean(value if isinstance(value, Mapping) else {target.columns[0]: value})
        if value is None:
            raise UnusableError("missing text")
        text = check_text(str(value))
        if word is not None:
            text = " ".join(str(word(part)) for part in text.split())
        return check_text(fold(text)) if folded else text

    return read


def fold(text: str) -> str:
    """Lower case, without punctuation but apostrophes inside words, single blanks."""
    text = unicodedata.normalize("NFKC", text).translate(APOSTROPHES).lower()
    kept = "".join(one if one == "'" or unicodedata.category(one)[0] in "LMN" else " " for one in text)
    return " ".join(filter(None, (word.strip("'") for word in kept.split())))


def end_of(tokenizer: Any) -> int:
    """Number of the token behind every target; it stands before the first one too.

    Raises:
        ConfigError: the tokenizer has none, or no padding, which stands for no symbol.
    """
    ends = [one for one in (tokenizer.eos_token_id, tokenizer.sep_token_id) if one is not None]
    if not ends or tokenizer.pad_token_id is None:
        raise ConfigError(
            "data.tokenizer: texts that are targets need one with a token of padding and one of the end"
        )
    return int(ends[0])


def encode(text: str, tokenizer: Any) -> list[int]:
    """Tokens of a target and of its end."""
    return [*tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"], end_of(tokenizer)]


def too_long(text: str, frames: int, frames_per_character: float) -> UnusableError | None:
    """Why so many frames cannot hold a text; None where they can.

    CTC tells two equal neighbours apart by a moment of nothing between them (Graves et al. 2006).
    """
    doubled = sum(one == other for one, other in pairwise(text))
    room = int(np.ceil(frames / frames_per_character))
    if len(text) + doubled <= room:
        return None
    detail = f"{len(text)} characters, {doubled} of them doubled, and room for {room}: `{text}`"
    return UnusableError("text too long for its sound", detail)


def target_batch(tokens: Sequence[Array], texts: Sequence[str] | None) -> Batch:
    """``labels`` int64 [B, U], filled up with -100; of rows that are scored also ``written``, code points [B, L]."""
    labels = np.full((len(tokens), max(map(len, tokens), default=0)), IGNORED, np.int64)
    for row, one in zip(labels, tokens, strict=True):
        row[: len(one)] = one
    told: Batch = {"labels": torch.from_numpy(labels)}
    return told if texts is None else {**told, WRITTEN: to_codes(texts)}
