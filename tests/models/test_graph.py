"""Every model of a graph scores as its paper says, both ways, and learns the toy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from llm_lab.errors import ConfigError
from llm_lab.knowledge.ranking import Answers, Queries, filtered_ranks
from llm_lab.models.graph.bilinear import ComplEx, DistMult, SimplE
from llm_lab.models.graph.conve import ConvE
from llm_lab.models.graph.distance import RotatE, TransE
from llm_lab.models.graph.embedding import Embedding
from llm_lab.models.graph.encoder import RGCN, CompGCN
from llm_lab.models.graph.tucker import TuckER
from llm_lab.tasks.link_losses import Right, against_all
from tests.knowledge.toy import toy_spec, toy_triples

MODELS = (ComplEx, DistMult, SimplE, TransE, RotatE, TuckER, ConvE, CompGCN, RGCN)
SYMMETRIC = {DistMult}


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Embedding]:
    torch.manual_seed(0)
    return lambda kind, **sizes: kind(**{"spec": toy_spec(tmp_path), "dim": 40, **sizes})


@pytest.mark.parametrize("kind", [ComplEx, DistMult, SimplE, TransE, RotatE])
def test_without_reciprocal_relations_head_and_tail_agree_on_a_triple(
    kind: type[Embedding], make: Callable[..., Embedding]
) -> None:
    model = make(kind, reciprocal=False, init=1.0).eval()
    head, relation, tail = torch.tensor([0, 5, 7]), torch.tensor([0, 1, 2]), torch.tensor([3, 2, 7])
    forth = model.score_tails(head, relation).gather(1, tail[:, None])
    back = model.score_heads(relation, tail).gather(1, head[:, None])
    torch.testing.assert_close(forth, back)
    turned = model.score_tails(tail, relation).gather(1, head[:, None])
    assert torch.allclose(forth, turned) is (kind in SYMMETRIC)


@pytest.mark.parametrize("kind", MODELS)
def test_one_question_at_a_time_scores_as_many(kind: type[Embedding], make: Callable[..., Embedding]) -> None:
    model = make(kind).eval()
    sources, relations = torch.tensor([0, 4, 2, 1]), torch.tensor([0, 4, 2, 5])
    with torch.inference_mode():
        whole = model.answer(sources, relations)
        singly = [model.answer(sources[i : i + 1], relations[i : i + 1]) for i in range(4)]
        model.asked(sources, relations)
        some = model.compare_some(model.asked(sources, relations)[0], torch.tensor([[3, 5]] * 4))
    torch.testing.assert_close(whole, torch.cat(singly), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(some, whole[:, [3, 5]], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", MODELS)
def test_a_model_learns_the_toy(kind: type[Embedding], make: Callable[..., Embedding]) -> None:
    model, triples = make(kind).train(), torch.from_numpy(toy_triples().splits["train"]).long()
    asked = Queries.of(triples, model.relations)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(60):
        queries, penalties = model.asked(asked.sources, asked.relations)
        losses = against_all(
            model, queries, Right.one_each(asked.targets), loss="cross_entropy", smoothing=0.0
        )
        optimizer.zero_grad()
        (losses + penalties).mean().backward()
        optimizer.step()
    model.eval()
    with torch.inference_mode():
        scores = model.answer(asked.sources, asked.relations)
    known = Answers.known(toy_triples()).cells(asked.sources, asked.relations)
    assert float((1 / filtered_ranks(scores, asked.targets, known).realistic).mean()) > 0.6


@pytest.mark.parametrize("kind", [CompGCN, RGCN])
def test_a_served_encoder_scores_as_it_did(kind: type[Embedding], make: Callable[..., Embedding]) -> None:
    model = make(kind).eval()
    sources, relations = torch.tensor([0, 4]), torch.tensor([0, 4])
    with torch.inference_mode():
        torch.testing.assert_close(
            model.served().answer(sources, relations), model.answer(sources, relations)
        )


def test_the_penalty_is_the_cube_of_the_moduli(make: Callable[..., Embedding]) -> None:
    model = make(ComplEx, dim=2, n3=0.5)
    source, relation = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 2.0]])
    torch.testing.assert_close(model.penalty(source, relation), torch.tensor([2 * 125.0 + 8.0]))


@pytest.mark.parametrize(("kind", "dim"), [(ComplEx, 5), (RotatE, 7), (SimplE, 3), (ConvE, 33)])
def test_a_width_that_does_not_fit_is_refused(
    kind: type[Embedding], dim: int, make: Callable[..., Embedding]
) -> None:
    with pytest.raises(ConfigError, match=rf"model.dim: .* wanted.*found {dim}"):
        make(kind, dim=dim)
