"""Losses between modalities against plain formulas, which pairs they are of, and what is learned beside the weights."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from llm_lab.config import build
from llm_lab.data.spec import DataSpec
from llm_lab.errors import ConfigError
from llm_lab.tasks.cross_modal import CrossModal
from llm_lab.tasks.metrics import collection
from llm_lab.tasks.modality_pairs import by_row, directions, flat, matched, measure
from tests.models.tiny import task_nodes, tokenizer_folder

NAMES = ("picture", "sound", "word")
NUMBER = {"kind": "number", "columns": ["a"], "optional": False}
METRICS = {"recall_at_1": {"_target_": "llm_lab.tasks.retrieval_metrics.Recall", "k": 1}}
MODEL = {
    "_target_": "llm_lab.models.fusion.model.fused",
    "fusion": {"_target_": "llm_lab.models.fusion.late.Concatenation"},
    "width": 8,
    "dropout": 0.0,
}


def make(*names: str, **options: Any) -> CrossModal:
    spec = DataSpec(
        problem="modalities", labels=(), sizes={"train": 6}, tokenizer=tokenizer_folder(), max_length=1,
        fingerprint="0", inputs=dict.fromkeys(names or NAMES, NUMBER),
    )  # fmt: skip
    node = {"_target_": "llm_lab.tasks.cross_modal.CrossModal", "metrics": METRICS, **options}
    torch.manual_seed(0)
    return cast(
        "CrossModal", build(node, expected=CrossModal, key="task", spec=spec, **{**task_nodes(), "model": MODEL})
    )  # fmt: skip


def told(
    rows: int = 6, inputs: int = 3, same: list[int] | None = None, **ids: list[int]
) -> dict[str, Tensor]:
    """Random directions, contents that all differ unless they are given."""
    made = torch.Generator().manual_seed(0)
    vectors = F.normalize(torch.randn(rows, inputs, 8, generator=made), dim=-1).requires_grad_()
    numbers = torch.arange(rows * inputs).view(inputs, rows).T.clone()
    for name, column in ids.items():
        numbers[:, NAMES.index(name)] = torch.tensor(column) + 1000
    present = torch.ones(rows, inputs, dtype=torch.bool)
    alike = torch.full((rows,), -1) if same is None else torch.tensor(same)
    return {"vectors": vectors, "ids": numbers, "present": present, "same": alike}


def test_infonce_of_two_is_the_loss_of_clip() -> None:
    task, rows = make("picture", "word"), told(inputs=2)
    task.scoring = {"scale": 7.0, "bias": 0.0}
    scores = 7 * rows["vectors"][:, 0] @ rows["vectors"][:, 1].T
    wanted = (F.cross_entropy(scores, torch.arange(6)) + F.cross_entropy(scores.T, torch.arange(6))) / 2
    assert torch.allclose(task.losses_of(rows).mean(), wanted)


def test_sigmoid_of_two_is_the_loss_of_siglip() -> None:
    task, rows = make("picture", "word", loss="sigmoid"), told(inputs=2)
    task.scoring = {"scale": 7.0, "bias": -2.0}
    signs = 2 * torch.eye(6) - 1
    scores = 7 * rows["vectors"][:, 0] @ rows["vectors"][:, 1].T - 2
    assert torch.allclose(task.losses_of(rows).mean(), -F.logsigmoid(signs * scores).sum() / 6)


@pytest.mark.parametrize("loss", ["infonce", "sigmoid"])
@pytest.mark.parametrize("same", [None, [1, 1, 2, 3, 3, 3]])
def test_the_order_of_the_rows_does_not_matter(loss: str, same: list[int] | None) -> None:
    task, rows = make(loss=loss), told(word=[1, 1, 2, 3, 3, 3], same=same)
    order = torch.tensor([3, 0, 5, 1, 2, 4])
    mixed = {name: value[order] for name, value in rows.items()}
    kept = {**mixed, "vectors": rows["vectors"].detach()[order]}
    kept["vectors"][:, 2] = rows["vectors"].detach()[[0, 0, 2, 3, 3, 3], 2][order]  # one word, one vector
    rows["vectors"] = rows["vectors"].detach().clone()
    rows["vectors"][:, 2] = rows["vectors"][[0, 0, 2, 3, 3, 3], 2]
    assert torch.allclose(task.losses_of(rows).sum(), task.losses_of(kept).sum(), atol=1e-5)


def test_an_anchor_is_part_of_every_trained_pair() -> None:
    bound, free = make(anchor="word"), make()
    pictures_and_sounds = told()
    pictures_and_sounds["present"][:, 2] = False
    assert not bound.losses_of(pictures_and_sounds).any()
    assert (free.losses_of(pictures_and_sounds) > 0).all()
    assert (bound.losses_of(told()) > 0).all()


def measured(rows: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    asked = directions(rows, NAMES).items()
    return {way: measure(collection(METRICS), one.ranks, one.back) for way, one in asked}


@pytest.mark.parametrize("same", [None, [7, 7, 7, 8, 8, 9]])
def test_what_rows_count_adds_up_to_the_metric_of_each_direction(same: list[int] | None) -> None:
    rows = told(word=[7, 7, 7, 8, 8, 9], same=same)
    rows["present"][5, 1] = False
    kept = by_row(directions(rows, NAMES), collection(METRICS), 6)
    assert kept.keys() == {f"{a}_to_{b}/recall_at_1" for a in NAMES for b in NAMES if a != b}
    for way, values in measured(rows).items():
        parts = kept[f"{way}/recall_at_1"]
        assert (parts[:, 0].sum() / parts[:, 1].sum()).item() == pytest.approx(values["recall_at_1"].item())
    assert kept["word_to_picture/recall_at_1"][:, 1].tolist() == [1, 0, 0, 1, 0, 1]
    assert kept["picture_to_sound/recall_at_1"][:, 1].tolist() == [1, 1, 1, 1, 1, 0]


def test_rows_are_kept_in_their_order_however_they_came() -> None:
    task, rows = make(), told() | {"index": torch.arange(6)}
    order = torch.tensor([3, 0, 5, 1, 2, 4])
    task.measured(rows)
    before = task.row_scores
    task.measured({name: value[order] for name, value in rows.items()})
    assert before and all(torch.equal(one, task.row_scores[name]) for name, one in before.items())


def test_rows_of_one_word_belong_together() -> None:
    rows = told(word=[7, 7, 7, 8, 8, 9], same=[7, 7, 7, 8, 8, 9])
    found = matched(rows, 0, 1)
    together = {(a, b) for a, b in zip(found.pairs.row.tolist(), found.pairs.column.tolist(), strict=True)}
    words = [7, 7, 7, 8, 8, 9]
    assert together == {(a, b) for a in range(6) for b in range(6) if words[a] == words[b]}
    words_to_pictures = matched(rows, 2, 0).pairs
    assert len(words_to_pictures.queries) == 3 and len(words_to_pictures.row) == 6


def test_directions_are_right_where_the_word_is() -> None:
    """Vectors that tell the word and nothing else find everything, row by row only one in so many."""
    rows = told(word=[7, 7, 7, 8, 8, 9], same=[7, 7, 7, 8, 8, 9])
    rows["vectors"] = torch.eye(3)[[0, 0, 0, 1, 1, 2]][:, None].expand(-1, 3, -1)
    alike = flat(measured(rows))
    assert alike["recall_at_1"] == 1 and len(alike) == 7
    rows["same"] = torch.full((6,), -1)
    single = measured(rows)
    assert single["picture_to_sound"]["recall_at_1"] == pytest.approx(1 / 6)
    assert single["picture_to_word"]["recall_at_1"] == 1


@pytest.mark.parametrize("loss", ["infonce", "sigmoid"])
def test_where_nothing_is_the_same_each_row_stands_by_itself(loss: str) -> None:
    task, rows = make(loss=loss), told()
    assert torch.allclose(task.losses_of(rows), task.losses_of({**rows, "same": torch.arange(6)}), atol=1e-5)


def batch(rows: int = 6) -> dict[str, Tensor]:
    values = torch.randn(rows, 2, generator=torch.Generator().manual_seed(1))
    ids = {f"{name}_id": torch.arange(rows) + 10 * number for number, name in enumerate(NAMES)}
    return {
        **dict.fromkeys(NAMES, values),
        **ids,
        "index": torch.arange(rows),
        "same": torch.full((rows,), -1),
        "step_targets": torch.tensor(rows),
    }


@pytest.mark.parametrize("loss", ["infonce", "sigmoid"])
@pytest.mark.parametrize("temperature", ["learned", "fixed"])
def test_the_temperature_is_learned_where_that_is_asked(
    loss: str, temperature: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make(loss=loss, temperature=temperature)
    monkeypatch.setattr(task, "replicas", lambda: 1)
    rows = batch()
    task.losses(task(rows), rows).sum().backward()
    grads = {name: one.grad for name, one in task.network().named_parameters() if name.startswith("logit")}
    assert (grads["logit_scale"] is not None) == (temperature == "learned")
    assert (grads["logit_bias"] is not None) == (temperature == "learned" and loss == "sigmoid")
    idle = [n for n, one in task.named_parameters() if one.requires_grad and one.grad is None]
    assert idle == []


def test_each_of_two_ranks_has_half_of_the_temperatures_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for ranks in (1, 2):
        task, rows = make(temperature="learned"), batch()
        monkeypatch.setattr(task, "replicas", lambda ranks=ranks: ranks)
        losses = task.losses(task(rows), rows)
        losses.sum().backward()
        grads = {name: one.grad for name, one in task.network().named_parameters() if one.grad is not None}
        found.append((losses.detach(), grads))
    (one, whole), (two, half) = found
    assert torch.equal(one, two)
    assert torch.allclose(whole["logit_scale"], 2 * half["logit_scale"])
    assert all(torch.equal(whole[name], half[name]) for name in whole if name != "logit_scale")


def test_a_learned_scale_stays_within_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    task = make(temperature="learned", scale=20.0, max_scale=50.0)
    monkeypatch.setattr(task, "replicas", lambda: 1)
    network = task.network()
    with torch.no_grad():
        network.logit_scale.fill_(3.0)
    task.on_train_batch_end()
    task(batch())
    assert cast("Tensor", task.scoring["scale"]).item() == pytest.approx(50.0)


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (("word",), {}, "at least two modalities"),
        (NAMES, {"anchor": "pictur"}, "task.anchor.*did you mean `picture`"),
        (NAMES, {"scale": 0.0}, "task.scale"),
        (NAMES, {"scale": 200.0}, "task.scale"),
    ],
)
def test_what_makes_no_sense_is_told(names: tuple[str, ...], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(*names, **options)
