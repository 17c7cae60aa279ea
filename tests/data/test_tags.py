"""Schemes of tags: every way of writing the same entities reads the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_lab.data.tags import (
    characters,
    detect,
    encode,
    entities,
    fault,
    follows,
    normal,
    scheme_of,
    tag_names,
)

KINDS = ("LOC", "PER", "creative-work")


@st.composite
def sentences(draw: st.DrawFn):
    """Lengths of runs of words, each an entity or none."""
    runs = draw(
        st.lists(st.tuples(st.integers(1, 4), st.sampled_from([None, *KINDS])), min_size=1, max_size=8)
    )
    found, place = [], 0
    for length, kind in runs:
        if kind:
            found.append((kind, place, place + length - 1))
        place += length
    return found, place


def iob1(found, length):
    tags = ["O"] * length
    for kind, first, last in found:
        tags[first : last + 1] = [f"I-{kind}"] * (last + 1 - first)
        if first and tags[first - 1].endswith(f"-{kind}"):
            tags[first] = f"B-{kind}"
    return tags


@given(sentences())
def test_every_scheme_keeps_the_entities_and_its_own_rules(sentence):
    found, length = sentence
    written = {scheme: encode(found, length, scheme) for scheme in ("BIO", "BIOES")} | {
        "IOB1": iob1(found, length)
    }
    for scheme, tags in written.items():
        assert entities(tags) == found
        assert fault(tags, scheme) is None
    for scheme in ("BIO", "BIOES"):
        assert set(written[scheme]) <= set(tag_names(KINDS, scheme))
        assert scheme_of(tag_names(KINDS, scheme)) == scheme


@given(st.lists(sentences(), min_size=1, max_size=5))
def test_the_scheme_is_recognized_where_the_tags_tell_it(corpus):
    if any(found for found, _ in corpus):
        assert detect([encode(found, length, "BIO") for found, length in corpus]) == "BIO"
        assert detect([iob1(found, length) for found, length in corpus]) == "IOB1"
        assert detect([encode(found, length, "BIOES") for found, length in corpus]) == "BIOES"


@given(sentences(), st.data())
def test_entities_of_characters_are_those_of_words(sentence, data):
    found, length = sentence
    words = data.draw(st.lists(st.text("ab", min_size=1, max_size=3), min_size=length, max_size=length))
    cut, moved = characters(words, found)
    assert [(kind, "".join(words[a : b + 1])) for kind, a, b in found] == [
        (kind, "".join(cut[a : b + 1])) for kind, a, b in moved
    ]


@pytest.mark.parametrize(
    ("tags", "scheme", "place"),
    [
        (["O", "I-PER"], "BIO", 1),
        (["B-PER", "I-LOC"], "BIO", 1),
        (["B-PER", "O"], "BIOES", 1),
        (["O", "B-PER"], "BIOES", 1),
        (["S-PER", "E-PER"], "BIOES", 1),
        (["O", "B-PER"], "IOB1", 1),
    ],
)
def test_the_word_whose_tag_breaks_the_scheme_is_named(tags, scheme, place):
    assert fault(tags, scheme) == place


def test_bilou_is_bioes_by_other_letters():
    assert [normal(tag) for tag in ("U-PER", "L-PER", "O")] == ["S-PER", "E-PER", "O"]
    for wrong in ("PER", "X-PER", "B", "B-"):
        with pytest.raises(ValueError, match="no tag"):
            normal(wrong)


def test_a_sentence_ends_no_entity_in_bioes_that_is_open():
    assert not follows("B-PER", None, "BIOES")
    assert follows("E-PER", None, "BIOES")
    assert follows("B-PER", None, "BIO")
