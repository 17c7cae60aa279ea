"""The ranking loss and its metrics against plain formulas, and a step however many ranks share it."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import multiprocessing as mp
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from llm_lab.config import build
from llm_lab.data.spec import DataSpec
from llm_lab.tasks.ranking import compare, pairs, ranked
from llm_lab.tasks.retrieval_metrics import Recall, ReciprocalRank
from llm_lab.tasks.task import Task
from tests.models.tiny import task_nodes, tokenizer_folder

METRICS = {
    "recall_at_1": {"_target_": "llm_lab.tasks.retrieval_metrics.Recall", "k": 1},
    "recall_at_10": {"_target_": "llm_lab.tasks.retrieval_metrics.Recall", "k": 10},
}


def make(**changes) -> Task:
    spec = DataSpec(
        problem="pairs",
        labels=(),
        sizes={"train": 8},
        tokenizer=tokenizer_folder(),
        max_length=16,
        fingerprint="f" * 64,
    )
    node = {"_target_": "llm_lab.tasks.contrastive.Contrastive", "metrics": METRICS, **changes}
    torch.manual_seed(0)
    task = build(node, expected=Task, key="task", spec=spec, **task_nodes())
    task.configure_model()
    return task.eval()  # no dropout


def batch(rows: slice = slice(None), *, count: int = 8) -> dict[str, torch.Tensor]:
    """Anchors with one positive each; the first two anchors share theirs."""
    made = torch.Generator().manual_seed(1)
    tokens = torch.randint(4, 20, (2, count, 6), generator=made)
    tokens[1, 1] = tokens[1, 0]
    anchor = torch.arange(count) + 100
    text = torch.arange(count) + 200
    text[1] = text[0]
    mask = torch.ones(len(anchor[rows]), 6, dtype=torch.int64)
    return {
        "input_ids": tokens[0, rows],
        "attention_mask": mask,
        "candidate_ids": tokens[1, rows],
        "candidate_mask": mask,
        "anchor": anchor[rows],
        "text": text[rows],
        "owner": anchor[rows],
        "positive": torch.ones(len(anchor[rows]), dtype=torch.bool),
        "step_targets": torch.tensor(float(count)),
    }


def gradient(task: Task, part: dict[str, torch.Tensor], *, replicas: int) -> torch.Tensor:
    task._trainer = SimpleNamespace(
        accumulate_grad_batches=1, distributed_sampler_kwargs={"num_replicas": replicas}
    )
    task.log = lambda *_, **__: None
    task.zero_grad()
    task.training_step(part).backward()
    trained = [one for one in task.parameters() if one.requires_grad]
    return torch.cat([one.grad.flatten() for one in trained])


def random_set(queries: int, *, width: int = 5, seed: int = 0) -> dict[str, torch.Tensor]:
    """Distinct texts, one positive each, and a hard negative of the first anchor."""
    made = torch.Generator().manual_seed(seed)
    anchor = torch.randperm(1000, generator=made)[:queries]
    return {
        "anchors": F.normalize(torch.randn(queries, width, generator=made), dim=-1),
        "candidates": F.normalize(torch.randn(queries + 1, width, generator=made), dim=-1),
        "anchor": anchor,
        "text": torch.randperm(1000, generator=made)[: queries + 1],
        "owner": torch.cat([anchor, anchor[:1]]),
        "positive": torch.tensor([True] * queries + [False]),
    }


@settings(max_examples=30, deadline=None)
@given(queries=st.integers(1, 12), seed=st.integers(0, 99))
def test_without_equal_texts_the_loss_is_cross_entropy_over_the_batch(queries, seed):
    found = random_set(queries, seed=seed)
    losses, _ = compare(pairs(found), scale=20.0)
    scores = found["anchors"] @ found["candidates"].T * 20.0
    expected = F.cross_entropy(scores, torch.arange(queries), reduction="none")
    assert torch.allclose(losses.sum(), expected.sum(), atol=1e-4)
    back, _ = compare(pairs(found).back(), scale=20.0)
    expected = F.cross_entropy(scores.T[:queries], torch.arange(queries), reduction="none")
    assert torch.allclose(back.sum(), expected.sum(), atol=1e-4)


def test_what_belongs_to_the_same_anchor_is_no_negative():
    scores = torch.tensor([[2.0, 3.0, 1.0]])
    losses, ranks = ranked(scores, torch.tensor([0, 0]), torch.tensor([0, 1]))
    assert torch.allclose(losses, torch.log1p(torch.exp(torch.tensor([1.0 - 2.0, 1.0 - 3.0]))))
    assert ranks.tolist() == [1]


def test_a_text_that_stands_twice_counts_once():
    found = random_set(6)
    twice = {
        **found,
        "candidates": torch.cat([found["candidates"], found["candidates"][2:3]]),
        "text": torch.cat([found["text"], found["text"][2:3]]),
        "owner": torch.cat([found["owner"], found["anchor"][4:5]]),
        "positive": torch.cat([found["positive"], torch.tensor([True])]),
    }
    result = pairs(twice)
    assert len(result.keys) == 7
    assert len(result.row) == 7
    row = int((torch.unique(found["anchor"]) == found["anchor"][4]).nonzero())
    assert (result.row == row).sum() == 2


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), queries=st.integers(2, 10))
def test_the_order_of_the_rows_does_not_matter(seed, queries):
    found = random_set(queries, seed=seed)
    made = torch.Generator().manual_seed(seed)
    rows, columns = torch.randperm(queries, generator=made), torch.randperm(queries + 1, generator=made)
    mixed = {name: found[name][rows] for name in ("anchors", "anchor")}
    mixed |= {name: found[name][columns] for name in ("candidates", "text", "owner", "positive")}
    for before, after in zip(compare(pairs(found), scale=5.0), compare(pairs(mixed), scale=5.0), strict=True):
        assert torch.allclose(before.sort().values, after.sort().values)


@settings(max_examples=30, deadline=None)
@given(data=st.data(), keys=st.integers(2, 15))
def test_ranks_and_metrics_are_those_of_brute_force(data, keys):
    scores = torch.tensor(
        data.draw(st.lists(st.integers(0, 5), min_size=keys * 3, max_size=keys * 3)), dtype=torch.float32
    ).view(3, keys)
    right = [data.draw(st.sets(st.integers(0, keys - 1), min_size=1)) for _ in range(3)]
    places = torch.tensor([(row, column) for row, some in enumerate(right) for column in sorted(some)])
    _, ranks = ranked(scores, places[:, 0], places[:, 1])
    expected = []
    for row, some in enumerate(right):
        best = max(scores[row, column] for column in some)
        expected.append(1 + sum(bool(scores[row, c] >= best) for c in range(keys) if c not in some))
    assert ranks.tolist() == expected
    recall, reciprocal = Recall(k=2), ReciprocalRank(direction="back")
    for metric in (recall, reciprocal):
        metric.update(forward=ranks, back=ranks + 1)
    assert recall.compute() == pytest.approx(sum(rank <= 2 for rank in expected) / 3)
    assert reciprocal.compute() == pytest.approx(sum(1 / (rank + 1) for rank in expected) / 3)


def test_texts_in_chunks_give_the_same_gradient():
    whole = gradient(make(), batch(), replicas=1)
    assert whole.abs().max() > 1e-4
    assert torch.allclose(whole, gradient(make(chunk=3), batch(), replicas=1), atol=1e-6)


def _rank(rank: int, store: str, folder: str) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    part = batch((slice(0, 5), slice(5, 8))[rank])
    torch.save(gradient(make(), part, replicas=2), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_ranks_with_unequal_parts_take_the_step_of_one(tmp_path):
    mp.spawn(_rank, args=(str(tmp_path / "store"), str(tmp_path)), nprocs=2)
    parts = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    assert torch.allclose(sum(parts) / 2, gradient(make(), batch(), replicas=1), atol=1e-6)
    assert not torch.allclose(parts[0], parts[1])
