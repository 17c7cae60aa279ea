"""Texts with annotations in tokens: facts behind the words that they are about, numbers beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from llm_lab.data.annotations import Annotation, Beside, Place, Woven, weave
from llm_lab.data.arrow import IDS, TYPES

KEPT = 1 << 16  # facts whose tokens are remembered


def pieces_of(tokenizer: Any) -> Callable[[str], Sequence[int]]:
    """Tokens of a fact that stands behind a word."""

    @lru_cache(maxsize=KEPT)
    def pieces(fact: str) -> tuple[int, ...]:
        return tuple(tokenizer.encode(f" {fact}", add_special_tokens=False, verbose=False))

    return pieces


def encode_woven(
    texts: Sequence[str],
    pairs: Sequence[str] | None,
    annotations: Sequence[Sequence[Annotation]],
    tokenizer: Any,
    *,
    max_length: int,
    beside: Beside,
) -> dict[str, list[list[int]]]:
    """Columns of tokens: ``input_ids``, ``token_type_ids`` of pairs, and those of ``beside``.

    Texts are cut so that facts have room; what they leave free stays free.

    Args:
        texts: N of them.
        pairs: second texts; None where there are none.
        annotations: of both, by row.
        tokenizer: a fast one.
        max_length: tokens of texts and facts together.
        beside: how many tokens facts may take, and which columns are wanted.
    """
    encoded = tokenizer(
        *([list(texts)] if pairs is None else [list(texts), list(pairs)]),
        truncation=True,
        max_length=max_length - beside.tokens,
        return_attention_mask=False,
        return_token_type_ids=pairs is not None,
        return_offsets_mapping=True,
        verbose=False,
    )
    pieces = pieces_of(tokenizer)
    columns: dict[str, list[list[int]]] = {name: [] for name in (IDS, *beside.columns)}
    types: list[list[int]] = []
    for number, ids in enumerate(encoded["input_ids"]):
        places = places_of(encoded.sequence_ids(number), encoded["offset_mapping"][number], ("text", "pair"))
        woven = weave(ids, places, annotations[number], pieces=pieces, tokens=beside.tokens)
        columns[IDS].append(woven.ids)
        for name in beside.columns:
            columns[name].append(woven.column(name))
        if pairs is not None:
            types.append([encoded["token_type_ids"][number][n] for n in woven.origin])
    return columns if pairs is None else {**columns, TYPES: types}


def places_of(
    parts: Sequence[int | None], spans: Sequence[tuple[int, int]], fields: tuple[str, str]
) -> list[Place | None]:
    """Where tokens stand in two texts of these names; None for special tokens."""
    return [None if part is None else (fields[part], *span) for part, span in zip(parts, spans, strict=True)]


def woven_words(words: Sequence[str], annotations: Sequence[Annotation], **how: Any) -> Woven:
    """Words in place of tokens, parted by one letter each: ``ids`` are numbers of words, and tokens of facts.

    Args:
        words: of a sentence.
        annotations: of the words joined by blanks, as the field ``text``.
        how: ``pieces`` and ``tokens`` of `weave`.
    """
    places: list[Place | None] = []
    start = 0
    for word in words:
        places.append(("text", start, start + len(word)))
        start += len(word) + 1
    return weave(range(len(words)), places, annotations, **how)
