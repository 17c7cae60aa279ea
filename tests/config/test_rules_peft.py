"""What a way to tune little cannot do, said by the check in the words that a user reads."""

from __future__ import annotations

import pytest

from llm_lab.config.rules_peft import vectors_in_front_suit_rows_and_objective as rule


def told(peft: str, task: str, *, layout: str = "documents", architecture: str = "bert") -> list[str]:
    values = {
        "peft": {"_target_": f"llm_lab.peft.prompts.{peft}"},
        "task": {"_target_": f"llm_lab.tasks.x.{task}"},
        "data": {"layout": layout},
        "model": {"architecture": architecture},
    }
    return [fault.message for fault in rule(values)]


def test_what_can_be_is_not_refused() -> None:
    assert not told("prefix", "SequenceClassification")
    assert not told("prompt", "CausalLM")
    assert not told("prefix", "MaskedLM")


@pytest.mark.parametrize(
    ("peft", "task", "changes", "words"),
    [
        ("prefix", "CausalLM", {"layout": "packed"}, "the first of its documents alone"),
        ("prompt", "MaskedLM", {}, "MaskedLM is asked at the places of tokens"),
        ("p_tuning", "ReplacedToken", {}, "ReplacedToken is asked at the places of tokens"),
        ("prefix", "SequenceClassification", {"architecture": "modernbert"}, "no keys and values"),
        ("prompt", "MultipleChoice", {}, "reads several texts a row"),
        ("prompt", "SpanCorruption", {}, "has an encoder and a decoder"),
    ],
)
def test_what_cannot_be_is_told_before_data_are_made(
    peft: str, task: str, changes: dict[str, str], words: str
) -> None:
    assert any(words in message for message in told(peft, task, **changes))
