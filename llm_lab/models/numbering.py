"""Whether a tokenizer numbers its tokens as the weights were trained with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from llm_lab.data.spec import DataSpec
from llm_lab.errors import ConfigError

ROLES = ("pad", "cls", "sep", "mask", "bos", "eos")
FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "tokenizer.model")


def check_numbers(folder: Path, spec: DataSpec, source: str, key: str = "model.source") -> None:
    """Refuse the tokenizer of another model: its tokens would look up the vectors of others, in silence.

    The measure is the tokenizer beside the weights, whose tokens may be added to; where there is none, the numbers
    of special tokens in ``config.json``.

    Args:
        folder: of the weights.
        spec: of the data, whose tokenizer is asked.
        source: of the weights, as the user knows it.
        key: that names it in the config.

    Raises:
        ConfigError: names a token, its two numbers and what to do.
    """
    tokenizer = AutoTokenizer.from_pretrained(spec.tokenizer, trust_remote_code=False)
    if any((folder / name).is_file() for name in FILES):
        own = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        differing = _of_vocabulary(own, tokenizer)
    else:
        differing = _of_config(json.loads((folder / "config.json").read_text(encoding="utf-8")), tokenizer)
    if differing:
        token, number, wanted = differing
        raise ConfigError(
            f"model.tokenizer: `{token}` is {_told(number)} in it, but {wanted} for the weights of {source} ({key}); "
            "take the tokenizer of the weights (model.tokenizer.source), or a model built to this tokenizer "
            "(llm_lab.models.text.from_scratch without init_from)"
        )


def _of_vocabulary(own: Any, tokenizer: Any) -> tuple[str, int | None, int] | None:
    """The first token with another number: token, number, number wanted."""
    numbers = tokenizer.get_vocab()
    wrong = ((wanted, token) for token, wanted in own.get_vocab().items() if numbers.get(token) != wanted)
    wanted, token = min(wrong, default=(None, ""))
    return None if wanted is None else (token, numbers.get(token), wanted)


def _of_config(config: dict[str, Any], tokenizer: Any) -> tuple[str, int, int] | None:
    """The first special token with another number; one that lies outside the vocabulary is a leftover default."""
    for role in ROLES:
        wanted, number = config.get(f"{role}_token_id"), getattr(tokenizer, f"{role}_token_id")
        known = [one for one in (wanted if isinstance(wanted, list) else [wanted]) if one is not None]
        known = [one for one in known if one < config.get("vocab_size", 0)]
        if known and number is not None and number not in known:
            return getattr(tokenizer, f"{role}_token"), number, known[0]
    return None


def _told(number: int | None) -> str:
    return "no token" if number is None else f"number {number}"
