"""Facts woven into sequences leave the rest as it was."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_lab.data.alignment import IGNORED, Aligner
from llm_lab.data.annotations import FACTS, Annotation, Annotator, Beside, weave
from llm_lab.data.passages import NOWHERE, passages
from llm_lab.data.squad import Question
from llm_lab.data.transforms import WordDropout
from llm_lab.data.woven import encode_woven
from llm_lab.errors import ConfigError
from tests.models.tiny import tokenizer_folder

TOKENS = 6
about = st.builds(
    lambda start, length, facts: Annotation(
        field="text", start=start, end=start + length, entity=7, facts=tuple(facts)
    ),
    st.integers(0, 30),
    st.integers(1, 8),
    st.lists(st.sampled_from(["ab", "abc", "a"]), max_size=3),
)


def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tokenizer_folder())


@settings(max_examples=50)
@given(st.integers(1, 12), st.lists(about, max_size=4))
def test_without_its_facts_a_sequence_is_what_it_was(length, annotations):
    ids = list(range(100, 100 + length))
    places = [None, *(("text", 3 * n, 3 * n + 2) for n in range(length - 1))]
    woven = weave(ids, places, annotations, pieces=lambda fact: [ord(one) for one in fact], tokens=TOKENS)
    inside = [n for n, branch in enumerate(woven.branches) if branch > 0]
    assert [token for n, token in enumerate(woven.ids) if n not in inside] == ids
    assert [origin for n, origin in enumerate(woven.origin) if n not in inside] == list(range(length))
    assert len(inside) <= TOKENS
    for n in inside:  # behind the part that it is about, or another fact of it
        part = woven.branches[n] // FACTS
        assert abs(woven.branches[n - 1]) // FACTS == part
        assert -part * FACTS in woven.branches
    assert all(woven.entities[n] == 0 for n in inside)


class Found(Annotator):
    def annotate(self, name: str, text: str) -> list[Annotation]:
        return []


def test_a_transform_that_changes_texts_is_refused_behind_one_that_found_places_in_them():
    with pytest.raises(
        ConfigError, match=r"data.transforms.drop: changes texts in which `found` has found places"
    ):
        Beside.of({"found": Found(), "drop": WordDropout()})
    assert Beside.of({"drop": WordDropout(), "found": Found()}).there


def test_a_word_of_a_fact_is_no_word_of_the_sentence():
    aligner = Aligner(tokenizer=tokenizer_folder(), max_length=16, facts=4)
    words = ["red", "blue", "green"]
    known = [Annotation(field="text", start=4, end=8, facts=("one",))]
    (plain,), (woven,) = aligner.align([words]), aligner.align([words], [known])
    assert len(woven.input_ids) > len(plain.input_ids)
    assert [word for word in woven.word if word != IGNORED] == [0, 1, 2]
    kept = [n for n, branch in enumerate(woven.branches) if branch <= 0]
    assert [woven.input_ids[n] for n in kept] == plain.input_ids
    assert [woven.word[n] for n in kept] == plain.word


def test_answers_stay_where_they_are():
    context = "red blue green red"
    asked = Question(id="1", question="one two", context=context, answers=("green",), span=(9, 14))
    known = [
        Annotation(field="context", start=4, end=8, facts=("two one",)),
        Annotation(field="question", start=0, end=3, facts=("two",)),
    ]
    beside = Beside(tokens=8, columns=("branches",), there=True)
    sizes = {"max_length": 64, "stride": 0}
    (plain,) = passages([asked], tokenizer(), **sizes)
    (woven,) = passages([asked], tokenizer(), **sizes, annotations=[known], beside=beside)
    assert len(woven.ids) > len(plain.ids)
    assert [span for span in woven.spans if span != NOWHERE] == plain.spans
    for made in (plain, woven):
        first, last = made.target(asked.span)
        assert (made.spans[first - made.first][0], made.spans[last - made.first][1]) == asked.span
    assert len(woven.types) == len(woven.ids) == len(woven.branches)


def test_texts_leave_room_for_facts_and_no_more():
    texts = ["red " * 40, "red blue"]
    known = [[Annotation(field="text", start=0, end=3, facts=("one two one two",))]] * 2
    beside = Beside(tokens=5, columns=("branches",), there=True)
    found = encode_woven(texts, None, known, tokenizer(), max_length=16, beside=beside)
    assert all(len(row) <= 16 for row in found["input_ids"])
    assert [len(row) for row in found["input_ids"]] == [len(row) for row in found["branches"]]
    assert all(any(branch > 0 for branch in row) for row in found["branches"])
