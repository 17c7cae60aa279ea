"""What a tokenizer makes of the training texts, in a few figures."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from typing import Any

IDEOGRAPH = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
MOST_TEXTS = 2000
LONGEST = 20_000  # characters of a text that are looked at


def tokenizer_report(tokenizer: Any, texts: Iterable[str]) -> dict[str, Any]:
    """Figures over the first 2,000 texts.

    Returns:
        ``vocabulary``; ``fertility``: tokens per word, or per character of texts that are mostly ideographs, as
        ``unit`` says; ``characters_per_token``; ``unknown``: share of unknown tokens. Special tokens do not count.
    """
    tokens = unknown = words = characters = ideographs = 0
    for text in islice(texts, MOST_TEXTS):
        part = text[:LONGEST]
        ids = tokenizer(part, add_special_tokens=False, verbose=False)["input_ids"]
        tokens += len(ids)
        unknown += ids.count(tokenizer.unk_token_id)
        words += len(part.split())
        characters += len(part)
        ideographs += len(IDEOGRAPH.findall(part))
    unit, count = ("character", characters) if 2 * ideographs > characters else ("word", words)
    return {
        "vocabulary": len(tokenizer),
        "fertility": round(tokens / max(count, 1), 4),
        "unit": unit,
        "characters_per_token": round(characters / max(tokens, 1), 4),
        "unknown": round(unknown / max(tokens, 1), 6),
    }
