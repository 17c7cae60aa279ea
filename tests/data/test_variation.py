"""Folds and augmentation over every kind of rows: each validated once, and targets stay with their texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_lab.data.multiple_choice import MultipleChoiceData
from llm_lab.data.pairs import PairData
from llm_lab.data.question_answering import QuestionAnsweringData
from llm_lab.data.source_data import SourceData
from llm_lab.data.tags import encode, entities
from llm_lab.data.text_classification import TextClassificationData
from llm_lab.data.token_classification import TokenClassificationData
from llm_lab.data.transforms import WordDropout, WordNoise
from llm_lab.errors import ConfigError, DataError
from tests.conftest import Result
from tests.data.conftest import TOKENIZER, sentence
from tests.data.test_multiple_choice import quiz
from tests.data.test_question_answering import squad

COUNT = 60
NOISE = {
    "noise": {"_target_": "llm_lab.data.transforms.WordNoise", "swap": 0.3, "repeat": 0.3, "delete": 0.3}
}


def jsonl(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def tagged(start: int) -> str:
    return "".join(
        f"Note\tO\n{sentence(n).split()[0]}{n}\tB-PER\nSmith\tI-PER\nsleeps\tO\nin\tO\nOslo\tB-LOC\n\n"
        for n in range(start, start + COUNT)
    )


def labelled(start: int) -> str:
    return jsonl([{"text": sentence(start + n), "label": "ab"[n % 2]} for n in range(COUNT)])


def pairs(start: int) -> str:
    return jsonl([{"anchor": sentence(start + n), "positive": f"it is {start + n}"} for n in range(COUNT)])


def choices(start: int) -> str:
    return jsonl([{**row, "text": f"{start} {row['text']}"} for row in quiz(COUNT)])


def questions(start: int) -> str:
    return json.dumps(squad(COUNT // 2, seed=start)).replace("Note ", f"Note {start}.")


KINDS: dict[str, tuple[type[SourceData], str, Callable[[int], str], tuple[str, ...]]] = {
    "text": (TextClassificationData, "jsonl", labelled, ("text",)),
    "tags": (TokenClassificationData, "conll", tagged, ("tokens",)),
    "questions": (QuestionAnsweringData, "json", questions, ("context", "question")),
    "choices": (MultipleChoiceData, "jsonl", choices, ("text",)),
    "pairs": (PairData, "jsonl", pairs, ("anchor",)),
}


@pytest.fixture(params=KINDS)
def module(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Callable[..., SourceData], tuple[str, ...]]:
    """Make a data module over a file for each split named, all rows in it of their own."""
    monkeypatch.setenv("LLM_LAB_HOME", str(tmp_path / "home"))
    kind, suffix, written, keys = KINDS[request.param]

    def make(*splits: str, **options: Any) -> SourceData:
        sources = {}
        for number, split in enumerate(splits):
            path = tmp_path / f"{split}.{suffix}"
            path.write_text(written(1000 * (number + 1)))
            sources[split] = f"file://{path}"
        source = sources if len(splits) > 1 else next(iter(sources.values()))
        return kind(source=source, tokenizer=TOKENIZER, licence="test", **options)  # type: ignore[call-arg]

    return make, keys


def told(data: SourceData, split: Any, keys: tuple[str, ...]) -> list[str]:
    return [str([row[key] for key in keys]) for row in data.rows(split)]


def test_every_row_that_is_not_for_testing_is_validated_once(module: Any) -> None:
    make, keys = module
    folds = [make("train", "val", "test", folds=3, fold=fold) for fold in range(3)]
    assert len({one.prepare().fingerprint for one in folds}) == 3
    tests = {tuple(told(one, "test", keys)) for one in folds}
    assert [len(one) for one in tests] == [COUNT]
    once = [row for one in folds for row in told(one, "val", keys)]
    assert len(once) == len(set(once)) == 2 * COUNT
    for one in folds:
        held, learned = told(one, "val", keys), told(one, "train", keys)
        assert held and not set(held) & set(learned)
        assert sorted(held + learned) == sorted(once)


def test_folds_that_cannot_be_are_refused(module: Any) -> None:
    make, _ = module
    with pytest.raises(ConfigError, match=r"data\.fold: of at least two folds"):
        make("train", folds=3, fold=3)
    with pytest.raises(DataError, match=r"data\.folds: of \d+ rows none falls to fold"):
        for fold in range(500):
            make("train", folds=500, fold=fold).prepare()


def test_noise_is_in_training_texts_alone(module: Any) -> None:
    make, keys = module
    plain, noisy = (make("train", "test", transforms=nodes) for nodes in ({}, NOISE))
    assert plain.prepare().fingerprint != noisy.prepare().fingerprint
    assert told(plain, "test", keys) == told(noisy, "test", keys)
    assert told(plain, "train", keys) != told(noisy, "train", keys)
    again = make("train", "test", transforms=NOISE, batch_size=3)
    assert told(again, "train", keys) == told(noisy, "train", keys)
    for before, after in zip(plain.rows("train"), noisy.rows("train"), strict=True):
        kept = {key: value for key, value in before.items() if key not in {*keys, "tags"}}
        assert kept == {key: after[key] for key in kept}
        if "context" in before:
            assert before["context"] == after["context"]
        if "tags" in before:
            names = [after["tokens"][first : last + 1] for _, first, last in entities(after["tags"])]
            assert all(set(name) <= set(before["tokens"]) - {"Note", "sleeps", "in"} for name in names)


@settings(max_examples=100, deadline=None)
@given(
    lengths=st.lists(st.tuples(st.sampled_from(["", "A", "B"]), st.integers(1, 4)), min_size=1, max_size=8),
    scheme=st.sampled_from(["BIO", "BIOES"]),
    seed=st.integers(0, 999),
)
def test_tags_go_with_their_words(lengths: list[tuple[str, int]], scheme: Any, seed: int) -> None:
    words, found = [], []
    for number, (kind, length) in enumerate(lengths):
        if kind:
            found.append((kind, len(words), len(words) + length - 1))
        words += [f"{kind}{number}"] * length
    row = {
        "text": " ".join(words),
        "words": words,
        "tags": encode(found, len(words), scheme),
        "split": "train",
    }
    for transform in (WordNoise(swap=0.4, repeat=0.3, delete=0.3), WordDropout(rate=0.5)):
        changed = transform(row, np.random.default_rng(seed))
        kept = [changed["words"][first : last + 1] for _, first, last in entities(changed["tags"])]
        names = [word for word in dict.fromkeys(changed["words"]) if not word[0].isdigit()]
        assert [set(name) for name in kept] == [{name} for name in names]
        assert [kind for kind, _, _ in entities(changed["tags"])] == [name[0] for name in names]
        assert changed["tags"] == encode(entities(changed["tags"]), len(changed["words"]), scheme)


def test_tagged_rows_take_noise_by_words_only(toy: Path, lab: Callable[..., Result]) -> None:
    (toy / "names.conll").write_text(tagged(0))
    words = ("+experiment=toy", "data=conll", "data.source=file://names.conll", "task=token_classification")
    words += ("baseline=token_classification",)
    target = "data.transforms.clean._target_=llm_lab.data.transforms.Normalize"
    result = lab("check", *words, target)
    assert result.code == 2
    assert "data.transforms.clean: Normalize changes a text as a whole, not word by word" in result.err
    assert "data/transforms=word_noise" in result.err
    assert lab("check", *words, "data/transforms=[word_noise,word_dropout]", "data.folds=3").code == 0


def test_folds_of_tagged_rows_are_a_sweep(toy: Path, lab: Callable[..., Result]) -> None:
    (toy / "names.conll").write_text(tagged(0))
    words = ("+experiment=toy", "data=conll", "data.source=file://names.conll", "task=token_classification")
    words += ("baseline=token_classification", "+debug=smoke", "logger=none", "data/transforms=word_noise")
    result = lab(*words, "data.folds=2", "data.fold=0,1", "--multirun", "hydra.sweep.dir=sweep")
    assert result.code == 0, result.err
    assert len(list((toy / "sweep").glob("*/metrics.json"))) == 2
