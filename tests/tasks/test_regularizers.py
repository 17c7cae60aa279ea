"""What regularizers add to the loss, against a computation by hand."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from llm_lab.config import build
from llm_lab.errors import ConfigError
from llm_lab.tasks.regularizers.adversarial import FGM, Smart
from llm_lab.tasks.regularizers.r_drop import RDrop
from llm_lab.tasks.regularizers.regularizer import divergence
from llm_lab.tasks.task import Task
from tests.models.tiny import option, options, task_nodes, tiny_batch, tiny_model, tiny_spec

PROBLEMS = ("single_label", "multi_label", "regression")


def make(problem="single_label", dropout=0.0) -> Task:
    node = {"_target_": "llm_lab.tasks.sequence_classification.SequenceClassification", "metrics": {}}
    torch.manual_seed(0)
    nodes = task_nodes(model=tiny_model(dropout=dropout))
    task = build(node, expected=Task, key="task", spec=tiny_spec(problem), **nodes)
    task.configure_model()
    return task.train()


def gradients(task, value):
    return torch.cat(
        [
            one.flatten()
            for one in torch.autograd.grad(value, list(task.parameters()), allow_unused=True)
            if one is not None
        ]
    )


def by_embeddings(task, batch, change):
    """The loss per row, where the word embeddings are computed and changed by hand."""
    vectors = change(task.model.get_input_embeddings()(batch["input_ids"]))
    logits = task.model(inputs_embeds=vectors, attention_mask=batch["attention_mask"]).logits
    return logits, task.losses(logits, batch)


def test_divergence_is_that_of_torch():
    task, batch = make(), tiny_batch(4)
    left, right = torch.randn(4, 3), torch.randn(4, 3)
    p, q = F.log_softmax(left, -1), F.log_softmax(right, -1)
    theirs = (
        F.kl_div(p, q, reduction="none", log_target=True) + F.kl_div(q, p, reduction="none", log_target=True)
    ).sum(-1) / 2
    assert torch.allclose(divergence(task, left, right, batch), theirs, atol=1e-6)
    words = {"labels": torch.tensor([[0, -100], [1, 2]])}
    assert divergence(task, torch.randn(2, 2, 3), torch.randn(2, 2, 3), words).shape == (3,)
    with pytest.raises(ConfigError, match="row of logits per label"):
        divergence(task, left, right, words)


def test_divergence_of_label_sets_is_that_of_coins():
    task, left, right = make("multi_label"), torch.randn(5, 3), torch.randn(5, 3)
    p, q = torch.distributions.Bernoulli(logits=left), torch.distributions.Bernoulli(logits=right)
    theirs = (torch.distributions.kl_divergence(p, q) + torch.distributions.kl_divergence(q, p)).mean(-1) / 2
    assert torch.allclose(divergence(task, left, right, {}), theirs, atol=1e-6)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_r_drop_is_the_mean_of_two_passes_and_their_divergence(problem):
    task, batch = make(problem, dropout=0.3), tiny_batch(6, problem)
    torch.manual_seed(5)
    first = task(batch)
    ours = task.losses(first, batch).sum() + RDrop(weight=2.0).penalty(task, batch, first)
    ours = gradients(task, ours)
    torch.manual_seed(5)
    one, two = task(batch), task(batch)
    losses = (task.losses(one, batch) + task.losses(two, batch)).sum() / 2
    if problem == "single_label":
        p, q = F.log_softmax(one, -1), F.log_softmax(two, -1)
        apart = (p.exp() * (p - q) + q.exp() * (q - p)).sum() / 2
    elif problem == "regression":
        apart = (one - two).square().sum()
    else:
        apart = ((one.sigmoid() - two.sigmoid()) * (one - two)).mean(-1).sum() / 2
    assert torch.allclose(ours, gradients(task, losses + 2 * apart), atol=1e-5)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_fgm_follows_the_gradient_of_each_row(problem):
    task, batch = make(problem), tiny_batch(6, problem)
    ours = FGM(epsilon=0.5, weight=0.7).penalty(task, batch, task(batch))
    caught = []
    _, losses = by_embeddings(task, batch, lambda x: caught.append(x.detach().requires_grad_()) or caught[0])
    (slope,) = torch.autograd.grad(losses.sum(), caught)
    step = 0.5 * slope / slope.flatten(1).norm(dim=1)[:, None, None]
    assert torch.allclose(step.flatten(1).norm(dim=1), torch.full((6,), 0.5))
    _, worse = by_embeddings(task, batch, lambda x: x + step)
    assert worse.sum() > losses.sum()
    assert torch.allclose(ours, 0.7 * worse.sum(), atol=1e-5)
    assert torch.allclose(gradients(task, ours), gradients(task, 0.7 * worse.sum()), atol=1e-5)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_smart_takes_one_step_up_the_divergence(problem):
    task, batch = make(problem), tiny_batch(6, problem)
    torch.manual_seed(7)
    ours = Smart(weight=3.0, noise=1e-2, step=0.1).penalty(task, batch, task(batch))
    torch.manual_seed(7)
    clean = task(batch)
    noise = (torch.randn(*batch["input_ids"].shape, 8) * 1e-2).requires_grad_()
    logits, _ = by_embeddings(task, batch, lambda x: x.detach() + noise)
    (slope,) = torch.autograd.grad(divergence(task, logits, clean.detach(), batch).sum(), noise)
    moved = noise.detach() + 0.1 * slope / (slope.abs().amax(-1, keepdim=True) + 1e-12)
    logits, _ = by_embeddings(task, batch, lambda x: x + moved)
    theirs = 3 * divergence(task, logits, clean, batch).sum()
    assert ours > 0
    assert torch.allclose(gradients(task, ours), gradients(task, theirs), atol=1e-4)


@pytest.mark.parametrize(
    "name", sorted({*options("task/regularizers")} - {"mixout"})
)  # a wrapper of the model
def test_every_choice_leaves_no_hook(name):
    task, batch = make(dropout=0.1), tiny_batch(4)
    (node,) = option("task/regularizers", name).values()
    regularizer = build(node, expected=(RDrop, FGM, Smart), key="task.regularizers")
    assert torch.isfinite(regularizer.penalty(task, batch, task(batch)))
    assert not task.model.get_input_embeddings()._forward_hooks
