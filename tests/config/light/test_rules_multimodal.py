"""What stands in `data.columns` is checked like nodes with a `_target_`, before anything is imported."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llm_lab.config.parts import KINDS, PARTS
from llm_lab.config.signature import signature_of
from tests.conftest import Result

FAULTS = [
    ("picture.kind=imgae", "picture.kind: unknown kind `imgae`", "did you mean `image`?"),
    ("picture.siez=3", "picture.siez: unknown key", "did you mean `data.columns.picture.size`?"),
    ("picture.size=[16]", "picture.size: must be int or a list of 2 int, not a list of 1", ""),
    ("picture.size=big", "picture.size: must be int or a list of 2 int, not the text `big`", ""),
    ("picture.resize=crpo", "picture.resize: must be one of stretch, crop, pad", "did you mean `crop`?"),
    ("picture.augment={flp:1}", "picture.augment.flp: unknown key", "`data.columns.picture.augment.flip`?"),
    ("picture.augment=flip", "picture.augment: must be a mapping or null, not the text `flip`", ""),
    ("question.replace={e:1}", "question.replace.e: must be a text, not 1", ""),
    ("picter.size=3", "picter: nothing says what it is", "did you mean `data.columns.picture`?"),
    ("labels=answer", "labels: a mapping with a `kind` is wanted", "did you mean `data.columns.label`?"),
]


@pytest.mark.parametrize("some", [[1, 2, 4, 5], [3, 6, 7, 8, 9]])  # a value may be given once
def test_wrong_words_in_columns_are_told_all_at_once(some: list[int], lab: Callable[..., Result]) -> None:
    chosen = [FAULTS[number] for number in some]
    result = lab("check", "+experiment=vqa", *(f"data.columns.{word}" for word, _, _ in chosen))
    assert result.code == 2 and f"{len(some)} faults" in result.err
    for word, message, near in chosen:
        assert f"data.columns.{message}" in result.err and near in result.err
        assert f"in data.columns.{word}" in result.err


@pytest.mark.parametrize(("word", "message", "near"), FAULTS[:4], ids=[word for word, *_ in FAULTS[:4]])
def test_a_wrong_word_stops_a_run_before_it_starts(
    word: str, message: str, near: str, lab: Callable[..., Result]
) -> None:
    result = lab("+experiment=vqa", f"data.columns.{word}")
    assert result.code == 2 and "1 fault in" in result.err
    assert f"data.columns.{message}" in result.err and near in result.err


def test_what_a_kind_needs_is_missed_where_the_kind_is_said(lab: Callable[..., Result]) -> None:
    result = lab("check", "+experiment=vqa", "~data.columns.picture.size")
    assert "data.columns.picture.size: missing value, which llm_lab" in result.err
    assert "easy_vqa.yaml:" in result.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("+experiment=digits_speech data.columns.sound.features=logmel", "did you mean `log_mel`?"),
        ("+experiment=vqa data.columns.split={kind:text}", "data.columns.split: must be a text or null"),
        ("+experiment=vqa data.inputs=[pictre]", "data.inputs.0: there is no input `pictre`"),
        ("+experiment=vqa model/image=null", "model.image: nothing encodes `data.columns.picture`"),
        ("+experiment=vqa model.text.freeze=embedings", "did you mean `embeddings`?"),
        ("+experiment=vqa model.modality_dropout=1", "model.modality_dropout: must be between 0 and 1"),
    ],
)
def test_columns_and_model_go_together(words: str, message: str, lab: Callable[..., Result]) -> None:
    result = lab("check", *words.split())
    assert result.code == 2 and "1 fault in" in result.err and message in result.err


@pytest.mark.parametrize(
    "words",
    [
        "+experiment=vqa model/image=null data.columns.picture=null",
        "+experiment=vqa model/image=null data.inputs=[question]",
        "+experiment=vqa model/image=null +model/image@model.towers.picture=cnn",
        "+experiment=caption",
        "+experiment=vqa data.columns.picture.size=[16,24]",
    ],
)
def test_an_input_that_the_model_does_not_get_needs_no_tower(words: str, lab: Callable[..., Result]) -> None:
    result = lab("check", *words.split())
    assert result.code == 0, result.err


def test_the_kinds_are_those_that_there_are() -> None:
    targets = {one for parts in PARTS.values() for part in parts.values() for one in part.targets.values()}
    assert all(signature_of(target) for target in (*PARTS, *targets))
    assert all(name in signature_of(target).parameters for target, parts in PARTS.items() for name in parts)  # type: ignore[union-attr]
    assert {"text", "image", "audio", "number", "category"} == set(KINDS)
