"""Methods under other heads than a classifier's: two steps, and a folder that says what the model said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from llm_lab.errors import ConfigError
from llm_lab.models.adapted import attach, base_of
from llm_lab.tasks.task import Task
from tests.conftest import Result
from tests.peft.test_methods import KEPT, method
from tests.tasks.pretraining import OBJECTIVES, blocks, objective
from tests.tasks.test_token_classification import QUIET, TASK, json_of, read, toy_names

CAUSAL, MASKED = ("causal_lm.CausalLM", "gpt2"), ("masked_lm.MaskedLM", "bert")
PAIR = ("replaced_token.ReplacedToken", "electra")
PACKED = [(name, *kind) for name in ("lora", "adapter") for kind in OBJECTIVES]
DOCUMENTS = [("prefix", *CAUSAL), ("prompt", *CAUSAL), ("p_tuning", *CAUSAL), ("prefix", *MASKED)]


@pytest.mark.parametrize(("name", "kind", "architecture"), PACKED + DOCUMENTS)
def test_pretraining_goes_on(name: str, kind: str, architecture: str, tmp_path: Path) -> None:
    task = tuned(name, kind, architecture)
    before = said(task.network())
    two_steps(task, packed=name not in KEPT or name == "adapter")
    after = said(task.network())
    assert (after - before).abs().max() > 1e-3
    task.save_artifact(tmp_path / "model")
    assert (tmp_path / "model" / "base").is_dir() == (name in KEPT)
    plain = task.head.auto_class.from_pretrained(base_of(tmp_path / "model"))
    assert torch.allclose(said(attach(plain, tmp_path / "model")), after, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("linear_probe", CAUSAL, "no head of its own"),
        ("prompt", MASKED, "take peft=prefix"),
        ("prefix", PAIR, "no single model"),
        ("prefix", MASKED, "data.layout=documents"),
    ],
)
def test_what_cannot_be_is_told(name: str, kind: tuple[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        two_steps(tuned(name, *kind), packed=True)


@pytest.mark.parametrize(("name", "crf"), [("lora", "true"), ("adapter", "false"), ("prefix", "true")])
def test_tags(name: str, crf: str, toy: Path, lab: Callable[..., Result]) -> None:
    toy_names(toy, 40)
    source = "{train: file://names.conll, test: file://names.conll}"
    words = (f"data.source={source}", "data.leaks=keep", "+debug=smoke", f"task.crf={crf}", f"peft={name}")
    result = lab(*TASK, *QUIET, *words)
    assert result.code == 0, result.err
    assert lab("evaluate", "run").code == 0
    (kept,) = (toy / "run" / "evaluations").glob("*.json")
    again = json_of(kept)["metrics"]
    assert again["test/loss"] == pytest.approx(read(toy / "run")["test/loss"], abs=1e-4)


def tuned(name: str, kind: str, architecture: str) -> Task:
    """A tiny task whose model is in a method's wrapper."""
    task = objective(kind, architecture)
    wrapper = method(name)
    task.model = wrapper(task.network())
    task.wrappers.append(wrapper)
    return task


def two_steps(task: Task, *, packed: bool) -> None:
    batch = blocks(4)
    if not packed:
        del batch["segments"], batch["position_ids"]
    optimizer = torch.optim.Adam([one for one in task.parameters() if one.requires_grad], lr=0.02)
    task.train()
    for _ in range(2):
        optimizer.zero_grad()
        task.training_step(batch).backward()
        optimizer.step()
    task._trainer.global_rank = 0


def said(model: torch.nn.Module) -> torch.Tensor:
    """Logits for some tokens."""
    model = getattr(model, "discriminator", model).eval()
    tokens = blocks(2)["input_ids"]
    more = {"decoder_input_ids": tokens} if model.config.is_encoder_decoder else {}
    with torch.no_grad():
        outputs = model(input_ids=tokens, attention_mask=torch.ones_like(tokens), **more)
    return outputs.prediction_logits if "prediction_logits" in outputs else outputs.logits
