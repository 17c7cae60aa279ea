"""Tags of words that together mark entities: BIO, IOB1 and BIOES, told apart, checked, read and written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import Literal

from seqeval.metrics.sequence_labeling import get_entities

Scheme = Literal["BIO", "IOB1", "BIOES"]
Entity = tuple[str, int, int]
"""Type, first word and last word."""

OUTSIDE = "O"
BILOU = {"L": "E", "U": "S"}  # the other letters of BIOES
PREFIXES = {"BIO": "BI", "BIOES": "BIES"}


def normal(tag: str) -> str:
    """The tag with the letters of BIOES instead of those of BILOU.

    Raises:
        ValueError: it is neither ``O`` nor a letter of BIOES, a hyphen and a type.
    """
    letter, hyphen, kind = tag.partition("-")
    letter = BILOU.get(letter, letter)
    if tag != OUTSIDE and not (len(letter) == 1 and letter in "BIES" and hyphen and kind):
        raise ValueError(f"`{tag}` is no tag such as `O`, `B-PER`, `I-PER`")
    return OUTSIDE if tag == OUTSIDE else f"{letter}-{kind}"


def parts(tag: str | None) -> tuple[str, str]:
    """Letter and type; what stands before or behind a sentence is as ``O``."""
    letter, _, kind = (tag or OUTSIDE).partition("-")
    return letter, kind


def kinds_in(tags: Iterable[str]) -> list[str]:
    """Types of entities in the order in which these tags name them."""
    return list(dict.fromkeys(kind for kind in (parts(tag)[1] for tag in tags) if kind))


def follows(before: str | None, after: str | None, scheme: Scheme) -> bool:
    """Whether a tag may stand behind another; None is the beginning or the end of the sentence."""
    (first, kind), (second, other) = parts(before), parts(after)
    opened = first in {"B", "I"}
    inside = opened and kind == other
    if scheme == "IOB1":
        return second != "B" or inside
    if scheme == "BIO":
        return second != "I" or inside
    return inside if second in {"I", "E"} else not opened


def fault(tags: Sequence[str], scheme: Scheme) -> int | None:
    """Number of the first word whose tag may not stand where it does; None where all may."""
    pairs = enumerate(pairwise([None, *tags, None]))
    place = next((place for place, (before, after) in pairs if not follows(before, after, scheme)), None)
    return None if place is None else min(place, len(tags) - 1)


def detect(sentences: Iterable[Sequence[str]]) -> Scheme:
    """The scheme of tags that `normal` has seen: BIOES by its letters, IOB1 where entities mostly begin with I."""
    begins = 0
    for tags in sentences:
        before: str | None = None
        for tag in tags:
            letter, kind = parts(tag)
            if letter in {"E", "S"}:
                return "BIOES"
            if letter in {"B", "I"} and parts(before)[1] != kind:
                begins += 1 if letter == "B" else -1
            before = tag
    return "IOB1" if begins < 0 else "BIO"


def entities(tags: Sequence[str]) -> list[Entity]:
    """Entities of a sentence in any scheme, as seqeval and conlleval read them, faults included."""
    return list(get_entities(list(tags)))


def encode(found: Iterable[Entity], length: int, scheme: Literal["BIO", "BIOES"]) -> list[str]:
    """Tags of a sentence of so many words."""
    tags = [OUTSIDE] * length
    for kind, first, last in found:
        tags[first : last + 1] = [f"I-{kind}"] * (last + 1 - first)
        tags[first] = f"B-{kind}"
        if scheme == "BIOES":
            tags[last] = f"S-{kind}" if first == last else f"E-{kind}"
    return tags


def owners(tags: Sequence[str]) -> list[int]:
    """Number from 1 of the entity that each word is part of, 0 outside of all."""
    found = [0] * len(tags)
    for number, (_, first, last) in enumerate(entities(tags), start=1):
        found[first : last + 1] = [number] * (last + 1 - first)
    return found


def moved(tags: Sequence[str], groups: Sequence[int], places: Sequence[int]) -> list[str]:
    """Tags of a sentence whose words are those at these places of another one, of which `owners` gave the groups."""
    kinds = [kind for kind, _, _ in entities(tags)]
    found: list[Entity] = []
    for group, run in groupby(enumerate(places), key=lambda item: groups[item[1]]):
        numbers = [number for number, _ in run]
        if group:
            found.append((kinds[group - 1], numbers[0], numbers[-1]))
    return encode(found, len(places), scheme_of(tags))


def tag_names(kinds: Sequence[str], scheme: Literal["BIO", "BIOES"]) -> tuple[str, ...]:
    """Every tag of these types, ``O`` first: the order of the model's outputs."""
    return (OUTSIDE, *(f"{letter}-{kind}" for kind in kinds for letter in PREFIXES[scheme]))


def scheme_of(names: Sequence[str]) -> Literal["BIO", "BIOES"]:
    """The scheme of names that `tag_names` made, or of a sentence that `encode` tagged."""
    return "BIOES" if any(name.startswith(("S-", "E-")) for name in names) else "BIO"


def characters(words: Sequence[str], found: Iterable[Entity]) -> tuple[list[str], list[Entity]]:
    """A sentence whose words are cut into characters, and the same entities in it."""
    starts = [0]
    for word in words:
        starts.append(starts[-1] + len(word))
    moved = [(kind, starts[first], starts[last + 1] - 1) for kind, first, last in found]
    return [character for word in words for character in word], moved


def spans(tags: Sequence[str], lengths: Sequence[int]) -> Iterator[tuple[int, Entity]]:
    """Yield number of the sentence and entity for sentences that stand one behind the other."""
    start = 0
    for number, length in enumerate(lengths):
        for entity in entities(tags[start : start + length]):
            yield number, entity
        start += length
