"""The saved folder gives, without this framework, what the task gives."""

from __future__ import annotations

import json

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from llm_lab.config import build
from llm_lab.errors import RunError
from llm_lab.models.wrapper import Wrapper
from llm_lab.tasks.task import Task
from tests.models.tiny import task_nodes, tiny_batch, tiny_model, tiny_spec

TEXTS = ["the film was good", "a dull story", "very bright and not bad but grim", "unknown words only"]


class Doubled(torch.nn.Module):
    """Twice what the model says, with a weight that learns."""

    def __init__(self, module):
        super().__init__()
        self.module = module
        self.factor = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, **inputs):
        outputs = self.module(**inputs)
        outputs.logits = outputs.logits * self.factor
        return outputs


class Double(Wrapper):
    """Wrap in `Doubled`; merging multiplies the head."""

    def __init__(self, *, times: int = 1):
        self.times = times

    def __call__(self, module):
        for parameter in module.parameters():
            parameter.requires_grad_(False)
        return Doubled(module)

    def merge(self, module):
        plain = module.module
        with torch.no_grad():
            plain.classifier.weight.mul_(module.factor)
            plain.classifier.bias.mul_(module.factor)
        return plain


def make(problem="single_label", **model) -> Task:
    node = {"_target_": "llm_lab.tasks.sequence_classification.SequenceClassification", "metrics": {}}
    task = build(
        node, expected=Task, key="task", spec=tiny_spec(problem), **task_nodes(model=tiny_model(**model))
    )
    task.configure_model()
    return task.eval()


def predict(task: Task, texts: list[str]) -> torch.Tensor:
    batch = AutoTokenizer.from_pretrained(task.spec.tokenizer)(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        return task.probabilities(task(dict(batch)))


@pytest.mark.parametrize("problem", ["single_label", "multi_label", "regression"])
@pytest.mark.parametrize("model", [{}, {"pooling": "mean"}])
def test_pipeline_gives_the_same_labels_and_scores(problem, model, tmp_path):
    task = make(problem, **model)
    task.save_artifact(tmp_path / "model")
    ask = pipeline("text-classification", model=str(tmp_path / "model"), device="cpu")
    ours = predict(task, TEXTS).reshape(len(TEXTS), -1)
    best = ours.max(dim=-1)
    for number, answer in enumerate(ask(TEXTS)):
        assert answer["label"] == task.spec.labels[best.indices[number]]
        assert answer["score"] == pytest.approx(best.values[number].item(), abs=1e-4)
    for scores, answers in zip(ours.tolist(), ask(TEXTS, top_k=None), strict=True):
        theirs = {answer["label"]: answer["score"] for answer in answers}
        assert theirs == pytest.approx(dict(zip(task.spec.labels, scores, strict=True)), abs=1e-4)


def test_predict_step_gives_the_same_as_the_saved_model(tmp_path):
    task, batch = make(), tiny_batch(5)
    task.save_artifact(tmp_path / "model")
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").eval()
    with torch.no_grad():
        theirs = plain(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits.softmax(
            -1
        )
        ours = task.predict_step(batch)["probabilities"]
    assert torch.allclose(ours, theirs, atol=1e-4)


def test_wrappers_train_alone_and_are_merged_away(tmp_path, monkeypatch):
    monkeypatch.setenv("LLM_LAB_ALLOW", "tests")
    task = make(wrappers={"double": {"_target_": f"{__name__}.Double"}})
    assert [name for name, parameter in task.named_parameters() if parameter.requires_grad] == [
        "model.factor"
    ]
    before = predict(task, TEXTS)
    task.save_artifact(tmp_path / "model")
    assert torch.equal(predict(task, TEXTS), before)  # the task goes on with its wrappers
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").eval()
    inputs = AutoTokenizer.from_pretrained(tmp_path / "model")(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        after = plain(**{name: inputs[name] for name in ("input_ids", "attention_mask")}).logits.softmax(-1)
    assert torch.allclose(before, after, atol=1e-5)


def test_folder_holds_no_pickle_and_says_what_it_is(tmp_path):
    task = make()
    task.save_artifact(tmp_path / "model")
    names = {path.name for path in (tmp_path / "model").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "llm_lab.json"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".ckpt"))]
    facts = json.loads((tmp_path / "model" / "llm_lab.json").read_text())
    assert facts["labels"] == ["bad", "fair", "good"]
    assert facts["max_length"] == 16
    assert facts["columns"] == {"text": "text"}
    assert "torch" in facts["versions"]


def test_an_older_artifact_is_replaced_and_nothing_else_is_left(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "stale.txt").write_text("old")
    make().save_artifact(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert not (tmp_path / "model" / "stale.txt").exists()


def test_a_wrapper_that_cannot_be_merged_is_named(tmp_path):
    task = make()
    task.model = Doubled(task.model)
    with pytest.raises(RunError, match=r"a Doubled is left after merging"):
        task.save_artifact(tmp_path / "model")
    assert not list(tmp_path.iterdir())
