"""What a run of ELECTRA leaves gives the same figures again."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForMaskedLM, ElectraForPreTraining

from llm_lab.config import build
from llm_lab.errors import ConfigError
from llm_lab.tasks.task import Task
from tests.tasks.pretraining import METRICS, blocks, language_spec, objective

NAME = "replaced_token.ReplacedToken"


def reloaded(folder, **changes) -> Task:
    """The task over a saved model, as `evaluate` builds it."""
    metrics = {kind.lower(): {"_target_": f"llm_lab.tasks.language_metrics.{kind}"} for kind in METRICS[NAME]}
    node = {"_target_": f"llm_lab.tasks.{NAME}", "metrics": metrics, "seed": 1} | changes
    model = {"_target_": "llm_lab.models.text.pretrained", "source": str(folder), "wrappers": {}}
    return build(
        node, expected=Task, key="task", spec=language_spec(), model=model, optimizer={}, scheduler={}
    )


def score(task: Task) -> dict[str, float]:
    """Loss and metrics of a few blocks."""
    task.network().eval()
    with torch.inference_mode():
        task.validation_step(blocks(4))
    found = {name: float(value) for name, value in task.metrics.compute().items()}
    return found | {"loss": float(task.mean_loss.compute())}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Folder and score of a pair whose generator is not a new one."""
    task = objective(NAME, "electra")
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in task.network().parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    folder = tmp_path_factory.mktemp("run") / "model"
    before = score(task)
    task._trainer = None
    task.save_artifact(folder)
    return folder, before


def test_the_generator_is_part_of_what_is_tested_again(saved):
    folder, before = saved
    torch.manual_seed(99)
    task = reloaded(folder)
    task.configure_model()
    task._trainer = objective(NAME, "electra")._trainer
    assert score(task) == pytest.approx(before, abs=1e-5)


def test_both_are_plain_models_of_transformers(saved):
    folder, _ = saved
    assert type(ElectraForPreTraining.from_pretrained(folder)) is ElectraForPreTraining
    generator = AutoModelForMaskedLM.from_pretrained(folder / "generator")
    assert generator.config.hidden_size == 8


def test_a_generator_of_another_size_is_refused(saved):
    with pytest.raises(ConfigError, match=r"task.generator_size: the generator in .*generator has another"):
        reloaded(saved[0], generator_size=0.5).configure_model()
