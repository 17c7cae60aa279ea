"""However an optimizer step is cut into micro-batches and ranks, the gradient is that of the whole."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_lightning import Trainer
from torch.utils.data import DataLoader

from llm_lab.config import build
from llm_lab.tasks.task import Task
from tests.models.tiny import part, task_nodes, tiny_batch, tiny_spec

ROWS = 12
TASK = {"_target_": "llm_lab.tasks.sequence_classification.SequenceClassification", "metrics": {}}


def make(problem="single_label", **settings) -> Task:
    torch.manual_seed(0)
    task = build(TASK | settings, expected=Task, key="task", spec=tiny_spec(problem), **task_nodes())
    task.configure_model()
    return task


def gradient(task: Task, parts, *, accumulate: int, replicas: int = 1) -> torch.Tensor:
    """The gradient as Lightning and DDP sum it up: over accumulation divided, over ranks averaged."""
    task._trainer = SimpleNamespace(
        accumulate_grad_batches=accumulate, distributed_sampler_kwargs={"num_replicas": replicas}
    )
    task.log = lambda *_, **__: None
    task.zero_grad()
    for batch in parts:
        (task.training_step(batch) / accumulate / replicas).backward()
    return torch.cat([parameter.grad.flatten() for parameter in task.parameters()])


def cuts(rows: int = ROWS):
    return st.sets(st.integers(1, rows - 1)).map(lambda inner: [0, *sorted(inner), rows])


@pytest.mark.parametrize(
    ("problem", "settings_"),
    [
        ("single_label", {}),
        ("single_label", {"class_weights": "balanced", "label_smoothing": 0.1}),
        ("single_label", {"class_weights": [0.5, 3.0, 1.0]}),
        ("multi_label", {"class_weights": "balanced"}),
        ("regression", {}),
    ],
)
@settings(max_examples=12, deadline=None)
@given(bounds=cuts(), replicas=st.integers(1, 3))
def test_gradient_does_not_depend_on_the_cut(problem, settings_, bounds, replicas):
    task = make(problem, **settings_)
    batch = tiny_batch(ROWS, problem)
    whole = gradient(task, [batch], accumulate=1)
    pieces = [part(batch, slice(*pair)) for pair in pairwise(bounds)]
    cut = gradient(task, pieces, accumulate=len(pieces), replicas=replicas)
    assert whole.abs().max() > 1e-3
    assert torch.allclose(whole, cut, atol=1e-6)


@pytest.mark.parametrize("sizes", [[12], [1, 11], [5, 3, 4]])
def test_lightnings_own_accumulation_gives_the_same_step(sizes):
    batch, pieces, start = tiny_batch(ROWS), [], 0
    for size in sizes:
        pieces.append(part(batch, slice(start, start + size)))
        start += size
    sgd = {"_target_": "llm_lab.optim.optimizers.sgd", "lr": 1.0, "momentum": 0.0, "nesterov": False}
    constant = {"_target_": "llm_lab.optim.schedulers.constant"}
    torch.manual_seed(0)
    nodes = task_nodes(optimizer=sgd, scheduler=constant)
    task = build(TASK, expected=Task, key="task", spec=tiny_spec(), **nodes)
    trainer = Trainer(
        max_epochs=1,
        accumulate_grad_batches=len(sizes),
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(task, DataLoader(pieces, batch_size=None))
    reference = make()
    step = gradient(reference, [batch], accumulate=1)
    before = torch.cat([parameter.flatten() for parameter in reference.parameters()])
    after = torch.cat([parameter.flatten() for parameter in task.parameters()])
    assert trainer.global_step == 1
    assert torch.allclose(before - step, after, atol=1e-6)
