"""One identifier for the several ways in which a name is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rapidfuzz import fuzz

from llm_lab.knowledge.construction.mentions import words_of

ALIKE = 92.0  # of 100: names that are as like as this mean the same
LONG = 6  # letters, below which only equal names mean the same


def canonical(names: Iterable[str]) -> dict[str, str]:
    """Name as written -> the most usual way of writing it.

    Names are equal without case and marks; long ones are, too, where they differ by a letter or so, or hold the same
    words in another order. The more usual name takes in the rarer one.
    """
    written: dict[str, Counter[str]] = {}
    for name in names:
        key = " ".join(word for word, _, _ in words_of(name))
        if key:
            written.setdefault(key, Counter())[name] += 1
    usual = sorted(written, key=lambda key: (-written[key].total(), key))
    heads: dict[str, str] = {}
    by_letter: dict[
        str, list[str]
    ] = {}  # names are compared with those that share the first letter of a word
    for key in usual:
        letters = {word[0] for word in key.split()}
        others = dict.fromkeys(other for letter in sorted(letters) for other in by_letter.get(letter, ()))
        heads[key] = next((other for other in others if _same(key, other)), key)
        if heads[key] == key:
            for letter in letters:
                by_letter.setdefault(letter, []).append(key)
    shown = {key: min(counts, key=lambda name: (-counts[name], name)) for key, counts in written.items()}
    return {name: shown[heads[key]] for key, counts in written.items() for name in counts}


def _same(one: str, other: str) -> bool:
    if min(len(one), len(other)) < LONG or sorted(filter(str.isdigit, one)) != sorted(
        filter(str.isdigit, other)
    ):
        return False
    return fuzz.token_sort_ratio(one, other, score_cutoff=ALIKE) > 0
