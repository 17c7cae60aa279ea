"""A classifier whose classes are prompts: their vectors' products with those of the pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F  # noqa: N812 - the name everybody knows
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from llm_lab.errors import ConfigError, RunError
from llm_lab.models.fusion.zero_shot import zero_shot
from llm_lab.models.heads import Head
from tests.models.fusion.test_fusion import batch_of, make, spec_of
from tests.models.tiny import tokenizer_folder

PICTURES = replace(spec_of("picture"), labels=("good", "dull", "grim"))


@pytest.fixture
def trained(tmp_path: Path) -> tuple[Path, Any]:
    """A saved space of pictures and words, and the model itself."""
    model = make("picture", "words", head=Head.ENCODER).eval()
    model.save_pretrained(tmp_path / "model")
    AutoTokenizer.from_pretrained(tokenizer_folder()).save_pretrained(tmp_path / "model")
    return tmp_path / "model", model


def told(model: Any, text: str) -> torch.Tensor:
    tokens = AutoTokenizer.from_pretrained(tokenizer_folder())(text, return_tensors="pt")
    return model(words=tokens["input_ids"], words_mask=tokens["attention_mask"]).last_hidden_state[0, 0]


@torch.no_grad()
def test_logits_are_scaled_cosines_with_the_mean_of_the_prompts(
    trained: tuple[Path, Any], tmp_path: Path
) -> None:
    folder, space = trained
    prompts = {"good": ["good", "fine"], "dull": "very dull"}
    model = zero_shot(
        spec=PICTURES, source=str(folder), prompts=prompts, templates=["{}", "the film was {}"], scale=10.0
    ).eval()
    batch = batch_of("picture")
    batch.pop("picture_present")
    pictures = space(**batch).last_hidden_state[:, 0]
    names = [["good", "the film was good", "fine", "the film was fine"], ["very dull", "the film was very dull"],
             ["grim", "the film was grim"]]  # fmt: skip
    classes = torch.stack([
        F.normalize(torch.stack([told(space, text) for text in texts]).mean(dim=0), dim=0) for texts in names
    ])  # fmt: skip
    logits = model(**batch).logits
    assert torch.allclose(logits, 10 * pictures @ classes.T, atol=1e-4)
    model.save_pretrained(tmp_path / "again")
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path / "again").eval()
    assert torch.equal(again(**batch).logits, logits) and again.config.id2label[1] == "dull"


def test_it_can_be_trained_further(trained: tuple[Path, Any]) -> None:
    model = zero_shot(spec=PICTURES, source=str(trained[0]))
    model(**batch_of("picture")).logits.square().sum().backward()
    assert [name for name, one in model.named_parameters() if one.grad is None] == []


@pytest.mark.parametrize(
    ("spec", "options", "error", "message"),
    [
        (PICTURES, {"prompts": {"god": "x"}}, ConfigError, "model.prompts.*did you mean `good`"),
        (PICTURES, {"templates": ["a film"]}, ConfigError, "model.templates"),
        (replace(PICTURES, problem="multi_label"), {}, ConfigError, "single_label"),
        (spec_of("sound"), {}, RunError, "no input `sound`"),
    ],
)
def test_what_makes_no_sense_is_told(
    trained: tuple[Path, Any], spec: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        zero_shot(spec=spec, source=str(trained[0]), **options)


def test_a_space_without_texts_has_no_prompts(tmp_path: Path) -> None:
    make("picture", "sound", head=Head.ENCODER).save_pretrained(tmp_path)
    with pytest.raises(RunError, match="one text, it has none"):
        zero_shot(spec=PICTURES, source=str(tmp_path))


def test_a_picture_that_is_prepared_otherwise_is_told(
    trained: tuple[Path, Any], caplog: pytest.LogCaptureFixture
) -> None:
    inputs = {"picture": {**PICTURES.inputs["picture"], "size": [32, 32]}}
    zero_shot(spec=replace(PICTURES, inputs=inputs), source=str(trained[0]))
    assert "data.columns.picture.size=[16, 16], now it is [32, 32]" in caplog.text
