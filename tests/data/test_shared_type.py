"""Tokens of a context that stand in the question have a type of their own, in training and in prediction."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from transformers import AutoTokenizer

from llm_lab.data.passages import SHARED, passages
from llm_lab.data.squad import Question
from tests.conftest import Result
from tests.data.test_question_answering import RUN, squad
from tests.models.tiny import WORDS, tokenizer_folder


def test_what_stands_in_both_texts_is_marked_in_the_context_alone() -> None:
    first, second, third = WORDS[:3]
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder())
    asked = Question(id="", question=f"{first} {second}", context=f"{third} {second} {third} {first}")
    settings = {"max_length": 32, "stride": 0}
    (plain,) = passages([asked], tokenizer, **settings)
    (marked,) = passages([asked], tokenizer, **settings, shared=True)
    assert [marked.types[marked.first + n] for n in range(4)] == [1, SHARED, 1, SHARED]
    assert marked.types[: marked.first] == plain.types[: plain.first]
    assert marked.ids == plain.ids
    assert SHARED not in plain.types


def test_a_run_with_marks_predicts_with_marks(toy: Path, lab: Callable[..., Result]) -> None:
    (toy / "toy.json").write_text(json.dumps(squad(40)))
    words = (*RUN, "data.source=file://toy.json", "data.shared_type=true", "trainer.max_steps=2")
    result = lab(*words)
    assert result.code != 0
    assert "data.shared_type: the model tells 2 token types apart, 3 are wanted" in result.err
    result = lab(*words, "model.sizes.type_vocab_size=3", "hydra.run.dir=marked")
    assert result.code == 0, result.err
    config = json.loads((toy / "marked" / "model" / "config.json").read_text())
    assert config["reading"]["shared_type"] is True
    result = lab("predict", "marked", "--input", "toy.json", "--output", "answers.json")
    assert result.code == 0, result.err
    assert len(json.loads((toy / "answers.json").read_text())) == 80
