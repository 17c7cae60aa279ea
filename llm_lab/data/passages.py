"""A question before each stretch of its context that fits into the model, one stretch overlapping the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from llm_lab.data.annotations import Annotation, Beside, Woven, weave
from llm_lab.data.squad import Question, Span
from llm_lab.data.woven import pieces_of, places_of

FIELDS = ("question", "context")
NOWHERE = (-1, -1)  # span of a token that does not stand in the context
SHARED = 2  # type of a token of the context that stands in the question too


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """Tokens of a question and of a stretch of its context.

    Attributes:
        question: number of the question among those that were asked for.
        ids: tokens, special ones included.
        types: 0 for the question, 1 for the context, 2 for what stands in both where that is marked.
        first: place of the context's first token.
        spans: first character and the one behind the last, in the context, of each token from ``first`` on; -1 for
            tokens of facts.
        covers: the same of the whole stretch.
        entity_ids: see `llm_lab.data.annotations`; empty without annotations.
        branches: likewise.
    """

    question: int
    ids: list[int]
    types: list[int]
    first: int
    spans: list[Span]
    covers: Span
    entity_ids: list[int] = field(default_factory=list)
    branches: list[int] = field(default_factory=list)

    def target(self, span: Span | None) -> Span:
        """First and last token of an answer; (0, 0), the first token of all, where it is not in this passage."""
        if span is None or span[0] < self.covers[0] or span[1] > self.covers[1]:
            return 0, 0
        inside = [n for n, (low, high) in enumerate(self.spans) if low < span[1] and high > span[0]]
        return (self.first + inside[0], self.first + inside[-1]) if inside else (0, 0)


def room(questions: Sequence[Question], tokenizer: Any, *, max_length: int) -> list[int]:
    """Tokens that each question leaves for its context."""
    if not questions:
        return []
    encoded = tokenizer([one.question for one in questions], add_special_tokens=False, verbose=False)
    special = tokenizer.num_special_tokens_to_add(pair=True)
    return [max_length - special - len(ids) for ids in encoded["input_ids"]]


def passages(
    questions: Sequence[Question],
    tokenizer: Any,
    *,
    max_length: int,
    stride: int,
    shared: bool = False,
    annotations: Sequence[Sequence[Annotation]] = (),
    beside: Beside | None = None,
) -> Iterator[Passage]:
    """Yield the passages of the questions, in order; questions are never cut.

    Where there are annotations, each passage has the facts about its own words in it.

    Args:
        questions: each leaves `room` for more than ``stride`` tokens.
        tokenizer: a fast one, whose tokens know their characters.
        max_length: tokens of a passage, without facts.
        stride: tokens of the context that a passage shares with the one before.
        shared: mark the tokens of the context that stand in the question too.
        annotations: of question and context, by question.
        beside: how many tokens facts may take; None for no annotations.
    """
    pieces = pieces_of(tokenizer)
    encoded = tokenizer(
        [one.question for one in questions],
        [one.context for one in questions],
        truncation="only_second",
        max_length=max_length,
        stride=stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        return_token_type_ids=True,
        verbose=False,
    )
    sources = encoded["overflow_to_sample_mapping"]
    for number, question in enumerate(sources):
        places = [n for n, part in enumerate(encoded.sequence_ids(number)) if part == 1]
        if not places:  # a context of characters that the tokenizer leaves out
            continue
        spans = [tuple(encoded["offset_mapping"][number][place]) for place in places]
        begins = number == 0 or sources[number - 1] != question
        ends = number + 1 == len(sources) or sources[number + 1] != question
        whole = len(questions[question].context)
        ids, types = encoded["input_ids"][number], encoded["token_type_ids"][number]
        made = Passage(
            question=question,
            ids=ids,
            types=_marked(ids, types, encoded.sequence_ids(number)) if shared else types,
            first=places[0],
            spans=spans,
            covers=(0 if begins else spans[0][0], whole if ends else spans[-1][1]),
        )
        if beside is None or not beside.there:
            yield made
            continue
        found = places_of(encoded.sequence_ids(number), encoded["offset_mapping"][number], FIELDS)
        woven = weave(ids, found, annotations[question], pieces=pieces, tokens=beside.tokens)
        yield _with_facts(made, woven)


def _with_facts(made: Passage, woven: Woven) -> Passage:
    """The passage with facts in it: the words of the context keep their places in it."""
    first = woven.origin.index(made.first)
    spans = [
        made.spans[origin - made.first] if branch <= 0 else NOWHERE
        for origin, branch in zip(woven.origin[first:], woven.branches[first:], strict=True)
        if origin < made.first + len(made.spans)
    ]
    return replace(
        made,
        ids=woven.ids,
        types=[made.types[origin] for origin in woven.origin],
        first=first,
        spans=spans,
        entity_ids=woven.entities,
        branches=woven.branches,
    )


def _marked(ids: Sequence[int], types: Sequence[int], parts: Sequence[int | None]) -> list[int]:
    """Type 2 for the tokens of the context that stand in the question."""
    asked = {token for token, part in zip(ids, parts, strict=True) if part == 0}
    cells = zip(ids, types, parts, strict=True)
    return [SHARED if part == 1 and token in asked else kind for token, kind, part in cells]
