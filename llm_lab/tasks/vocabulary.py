"""What an objective has to know about a tokenizer's tokens."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoTokenizer

from llm_lab.errors import ConfigError

IDEOGRAPH = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
INSIDE, BEFORE = (
    "##",
    ("\u0120", "\u2581"),
)  # word pieces mark what goes on, byte pairs and unigrams what begins


class Vocabulary(nn.Module):
    """Tables over the vocabulary, on the device of the task; nothing of them is saved.

    Attributes:
        ordinary: bool [V], all but special tokens.
        words: int64 [W], the numbers of the ordinary tokens.
        starts: bool [V], tokens that begin a word; an ideograph is a word of its own.
        mask: number of the mask token.
    """

    ordinary: Tensor
    words: Tensor
    starts: Tensor
    mask: int

    def __init__(self, folder: Path) -> None:
        super().__init__()
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        if tokenizer.mask_token_id is None:
            raise ConfigError(
                f"model.tokenizer: {folder} has no mask token, which this task needs; "
                "take a tokenizer with one, or task=causal_lm"
            )
        self.mask = int(tokenizer.mask_token_id)
        ordinary = torch.ones(len(tokenizer), dtype=torch.bool)
        ordinary[tokenizer.all_special_ids] = False
        for name, table in (
            ("ordinary", ordinary),
            ("words", ordinary.nonzero()[:, 0]),
            ("starts", torch.tensor(word_starts(tokenizer)) | ~ordinary),
        ):
            self.register_buffer(name, table, persistent=False)


def word_starts(tokenizer: Any) -> list[bool]:
    """Whether each token begins a word; without marks of either kind each token is a word."""
    tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    if any(token.startswith(INSIDE) for token in tokens):
        begins = [not token.startswith(INSIDE) for token in tokens]
    elif any(token.startswith(BEFORE) for token in tokens):
        begins = [token.startswith(BEFORE) for token in tokens]
    else:
        return [True] * len(tokens)
    texts = (tokenizer.convert_tokens_to_string([token]).removeprefix(INSIDE) for token in tokens)
    return [own or bool(IDEOGRAPH.match(text.lstrip())) for own, text in zip(begins, texts, strict=True)]
