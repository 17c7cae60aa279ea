"""Losses, metrics and predictions of the three kinds of target."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pytorch_lightning import Trainer
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef, mean_squared_error
from torch.utils.data import DataLoader

from llm_lab.config import build
from llm_lab.errors import ConfigError
from llm_lab.tasks.sequence_classification import weigh
from llm_lab.tasks.task import Task
from tests.models.tiny import option, part, task_nodes, tiny_batch, tiny_model, tiny_spec

PROBLEM = {
    "sequence_classification": "single_label",
    "multi_label_classification": "multi_label",
    "text_regression": "regression",
}
NAME = {problem: name for name, problem in PROBLEM.items()}


def make(problem="single_label", **changes) -> Task:
    nodes = task_nodes(**{name: changes.pop(name) for name in list(changes) if name in task_nodes()})
    node = {**option("task", NAME[problem]), **changes}
    torch.manual_seed(0)
    return build(node, expected=Task, key="task", spec=tiny_spec(problem), **nodes)


def trainer(**changes) -> Trainer:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return Trainer(accelerator="cpu", enable_model_summary=False, **(quiet | changes))


def loader(problem="single_label", rows=10, sizes=(4, 5, 1), seed=0) -> DataLoader:
    batch, start, pieces = tiny_batch(rows, problem, seed=seed), 0, []
    for size in sizes:
        pieces.append(part(batch, slice(start, start + size)))
        start += size
    return DataLoader(pieces, batch_size=None)


@pytest.mark.parametrize("name", sorted(PROBLEM))
def test_every_shipped_task_trains_and_tests(name):
    task = make(PROBLEM[name])
    run = trainer(max_epochs=1)
    run.fit(task, loader(PROBLEM[name]), loader(PROBLEM[name], seed=1))
    run.test(task, loader(PROBLEM[name], seed=2), verbose=False)
    metrics = {"loss", *option("task", name).metrics}
    assert {f"test/{metric}" for metric in metrics} <= set(run.callback_metrics)
    assert task.predictions["index"].tolist() == list(range(10))
    assert all(torch.isfinite(value) for value in run.callback_metrics.values())


@pytest.mark.parametrize("problem", list(NAME))
def test_32_rows_are_learned_by_heart(problem):
    sizes = tiny_model()["sizes"] | {"hidden_size": 64, "intermediate_size": 128}
    task, batch = make(problem, model=tiny_model(sizes=sizes)).train(), tiny_batch(32, problem)
    rows = torch.arange(32)
    batch["input_ids"][:, 1:3] = 4 + torch.stack([rows % 16, rows // 16], dim=1)  # no two are the same
    optimizer = torch.optim.AdamW(task.network().parameters(), lr=3e-3)
    for _ in range(120):
        optimizer.zero_grad()
        task.losses(task(batch), batch).mean().backward()
        optimizer.step()
    with torch.no_grad():
        told = task.eval().probabilities(task(batch))
    if problem == "regression":
        assert (told - batch["labels"]).abs().max() < 0.5
    elif problem == "multi_label":
        assert ((told > 0.5) == batch["labels"].bool()).float().mean() > 0.95
    else:
        assert (told.argmax(-1) == batch["labels"]).float().mean() > 0.95


@pytest.mark.parametrize("problem", list(NAME))
def test_loss_is_that_of_transformers(problem):
    task, batch = make(problem), tiny_batch(6, problem)
    model = task.network().eval()
    theirs = model(**{name: batch[name] for name in ("input_ids", "attention_mask", "labels")}).loss
    assert torch.allclose(task.losses(task(batch), batch).mean(), theirs, atol=1e-6)


def test_metrics_are_those_of_scikit_learn_and_the_loss_weighs_rows_equally():
    task, batch = make(), tiny_batch(10)
    values = trainer().validate(task, loader(), verbose=False)[0]
    task.eval()
    with torch.no_grad():
        outputs = task(batch)
        losses = task.losses(outputs, batch)
    truth, guess = batch["labels"].numpy(), outputs.argmax(-1).numpy()
    assert values["val/accuracy"] == pytest.approx(accuracy_score(truth, guess))
    assert values["val/f1"] == pytest.approx(
        f1_score(truth, guess, average="macro", labels=[0, 1, 2]), abs=1e-6
    )
    assert values["val/matthews"] == pytest.approx(matthews_corrcoef(truth, guess), abs=1e-5)
    assert values["val/loss"] == pytest.approx(losses.mean().item(), abs=1e-6)


def test_regression_metrics():
    task, batch = make("regression"), tiny_batch(10, "regression")
    values = trainer().validate(task, loader("regression"), verbose=False)[0]
    with torch.no_grad():
        guess = task.eval()(batch).squeeze(-1)
    assert values["val/mse"] == pytest.approx(mean_squared_error(batch["labels"], guess), abs=1e-5)
    assert values["val/pearson"] == pytest.approx(np.corrcoef(batch["labels"], guess)[0, 1], abs=1e-4)


def test_predictions_come_in_the_order_of_the_rows():
    task, batch = make(), tiny_batch(10)
    order = torch.tensor([7, 2, 9, 0, 1, 8, 3, 4, 6, 5])
    trainer().test(
        task, DataLoader([part(batch, order[:6]), part(batch, order[6:])], batch_size=None), verbose=False
    )
    with torch.no_grad():
        expected = task.eval()(batch).softmax(-1)
    assert task.predictions["index"].tolist() == list(range(10))
    assert torch.equal(task.predictions["labels"], batch["labels"])
    assert torch.allclose(task.predictions["probabilities"], expected, atol=1e-6)


def test_a_second_test_starts_afresh():
    task, run = make(), trainer()
    first = run.test(task, loader(), verbose=False)[0]
    second = run.test(task, loader(), verbose=False)[0]
    assert first == second
    assert len(task.predictions["index"]) == 10


def test_balanced_weights_make_classes_equal():
    weights = weigh(tiny_spec(), "balanced")
    counts = torch.tensor([15.0, 10.0, 5.0])
    assert torch.allclose(weights * counts, torch.full((3,), 10.0))
    assert torch.allclose(weigh(tiny_spec("multi_label"), "balanced"), torch.tensor([1.0, 2.0, 5.0]))


@pytest.mark.parametrize(
    ("problem", "settings", "words"),
    [
        (
            "single_label",
            {"class_weights": [1.0, 2.0]},
            r"task.class_weights: 2 weights for 3 labels \(bad, fair, good\)",
        ),
        ("single_label", {"label_smoothing": 1.5}, r"task.label_smoothing: 1.5"),
        ("regression", {"label_smoothing": 0.1}, r"the target is a number"),
    ],
)
def test_settings_that_do_not_fit_the_labels_are_named(problem, settings, words):
    with pytest.raises(ConfigError, match=words):
        make(problem, **settings)


def test_metrics_of_another_kind_of_target_are_named():
    with pytest.raises(ConfigError, match=r"task.metrics.accuracy.*task=sequence_classification"):
        make("single_label", metrics=option("task", "multi_label_classification").metrics)


def test_weights_are_made_once():
    task = make()
    task.configure_model()
    first = task.model
    task.configure_model()
    assert task.model is first


def test_same_seed_gives_bit_equal_weights():
    states = []
    for _ in range(2):
        task = make(model=tiny_model(dropout=0.1))
        trainer(max_epochs=2).fit(task, loader())
        states.append(task.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_clipping_works_with_a_fused_optimizer_in_mixed_precision():
    task = make()
    run = trainer(max_steps=1, max_epochs=1, precision="bf16-mixed", gradient_clip_val=1e-9)
    run.fit(task, loader())
    assert run.global_step == 1


def test_checkpoint_loads_with_weights_only(tmp_path):
    task, run = make(), trainer(max_epochs=1)
    run.fit(task, loader())
    run.save_checkpoint(tmp_path / "last.ckpt")
    stored = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert stored["state_dict"].keys() == task.state_dict().keys()


def test_a_run_without_an_end_is_refused():
    with pytest.raises(ConfigError, match=r"trainer.max_steps"):
        trainer(max_epochs=-1, max_steps=-1, limit_train_batches=1).fit(make(), loader())
