"""The fused losses are those of torch, gradients included."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from llm_lab.models.graph.bilinear import ComplEx
from llm_lab.models.graph.conve import ConvE
from llm_lab.models.graph.distance import TransE
from llm_lab.models.graph.embedding import Embedding
from llm_lab.tasks.link_losses import Loss, Right, against_all, against_some
from tests.knowledge.toy import toy_spec


@pytest.mark.parametrize("kind", [ComplEx, ConvE, TransE])
@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_losses_and_gradients_are_those_of_dense_targets(
    kind: type[Embedding], loss: Loss, smoothing: float, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    model = kind(spec=toy_spec(tmp_path), dim=40).eval()  # type: ignore[call-arg]
    sources, relations = torch.tensor([0, 3, 8]), torch.tensor([0, 1, 5])
    cells = torch.tensor([0, 0, 1, 2]), torch.tensor([2, 5, 1, 0])
    right = Right.several(cells, 3, loss)
    dense = torch.zeros(3, model.entities)
    dense[right.rows, right.columns] = right.shares * (1 - smoothing)
    dense += smoothing / model.entities
    queries, _ = model.asked(sources, relations)
    scores = model.compare(queries)
    if loss == "cross_entropy":
        expected = -(dense * scores.log_softmax(1)).sum(1)
    else:
        expected = F.binary_cross_entropy_with_logits(scores, dense, reduction="none").sum(1)
    weights = torch.tensor([1.0, 2.0, 0.5])
    (expected * weights).sum().backward()
    wanted = {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}
    model.zero_grad()
    queries, _ = model.asked(sources, relations)
    found = against_all(model, queries, right, loss=loss, smoothing=smoothing)
    torch.testing.assert_close(found, expected)
    (found * weights).sum().backward()
    for name, parameter in model.named_parameters():
        if name in wanted:
            torch.testing.assert_close(parameter.grad, wanted[name], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_more_of_the_right_answer_is_a_smaller_loss(loss: Loss, tmp_path: Path) -> None:
    model = ComplEx(spec=toy_spec(tmp_path), dim=8)
    targets = torch.tensor([1, 2])
    with torch.no_grad():
        aligned = against_some(
            model, 50 * model.entity[targets], targets, loss=loss, negatives=4, temperature=1.0
        )
        opposed = against_some(
            model, -50 * model.entity[targets], targets, loss=loss, negatives=4, temperature=1.0
        )
    assert (aligned < opposed).all()
