"""Averaged weights: what they are, when they stand in, and that a resumed run keeps them."""

from __future__ import annotations

import pytest
import torch
from pytorch_lightning import Callback, Trainer
from torch.utils.data import DataLoader

from llm_lab.callbacks.averaging import EMA, SWA
from llm_lab.config import build
from llm_lab.errors import ConfigError
from llm_lab.tasks.task import Task
from tests.models.tiny import option, task_nodes, tiny_batch, tiny_spec


def make() -> Task:
    torch.manual_seed(0)
    adamw = {"_target_": "llm_lab.optim.optimizers.adamw", "lr": 0.01}
    constant = {"_target_": "llm_lab.optim.schedulers.constant"}
    nodes = task_nodes(optimizer=adamw, scheduler=constant)
    return build(
        option("task", "sequence_classification"), expected=Task, key="task", spec=tiny_spec(), **nodes
    )


def batches(first: int = 0, last: int = 8) -> DataLoader:
    return DataLoader([tiny_batch(6, seed=seed) for seed in range(first, last)], batch_size=None)


def fit(task: Task, *callbacks: Callback, steps: int = 8, val=None, **point) -> Trainer:
    trainer = Trainer(
        max_steps=steps,
        callbacks=list(callbacks),
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(task, batches(), val, weights_only=True, **point)
    return trainer


class Trace(Callback):
    """Remembers the head's weight after every step, and in validation."""

    def __init__(self):
        self.steps, self.validated = [], []

    def on_train_batch_end(self, trainer, task, *_):
        self.steps.append(head(task))

    def on_validation_batch_start(self, trainer, task, *_):
        self.validated.append(head(task))


def head(task: Task) -> torch.Tensor:
    return task.model.classifier.weight.detach().clone()


def test_swa_is_the_mean_of_the_last_quarter():
    task, trace = make(), Trace()
    fit(task, SWA(start=0.75), trace)
    assert torch.allclose(head(task), torch.stack(trace.steps[6:]).mean(0), atol=1e-6)


def test_ema_follows_its_formula():
    task, trace = make(), Trace()
    fit(task, EMA(decay=0.5, start=2, every=2), trace)
    expected = trace.steps[2]
    for weights in trace.steps[4::2]:
        expected = 0.5 * expected + 0.5 * weights
    assert torch.allclose(head(task), expected, atol=1e-6)


def test_validation_sees_the_average_once_there_is_one():
    task, trace = make(), Trace()
    trainer = fit(task, SWA(start=0.75), trace, val=batches(20, 21))
    assert trainer.global_step == 8
    assert torch.allclose(trace.validated[-1], torch.stack(trace.steps[6:]).mean(0), atol=1e-6)
    late, trace = make(), Trace()
    fit(late, SWA(start=100), trace, val=batches(20, 21))
    assert torch.equal(trace.validated[-1], trace.steps[-1])
    assert torch.equal(head(late), trace.steps[-1])


def test_whole_number_buffers_stay():
    task = make()
    fit(task, EMA(decay=0.9))
    assert task.model.bert.embeddings.position_ids.tolist() == [list(range(32))]


def test_a_checkpoint_of_weights_alone_holds_the_average(tmp_path):
    task, trace = make(), Trace()
    trainer = fit(task, SWA(start=0.5), trace)
    trainer.save_checkpoint(tmp_path / "weights.ckpt", weights_only=True)
    stored = torch.load(tmp_path / "weights.ckpt", weights_only=True)["state_dict"]["model.classifier.weight"]
    assert torch.allclose(stored, torch.stack(trace.steps[4:]).mean(0), atol=1e-6)


def test_testing_a_full_checkpoint_tests_the_average(tmp_path):
    task, trace = make(), Trace()
    trainer = fit(task, SWA(start=0.5), trace)
    trainer.save_checkpoint(tmp_path / "full.ckpt")
    average = head(task)
    trainer.test(task, batches(30, 31), ckpt_path=tmp_path / "full.ckpt", weights_only=True, verbose=False)
    assert torch.equal(head(task), average)


class Interrupt(Callback):
    """Saves a checkpoint after a step and stops."""

    def __init__(self, step, path):
        self.step, self.path = step, path

    def on_train_batch_end(self, trainer, task, *_):
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)
            trainer.should_stop = True


@pytest.mark.parametrize("step", [2, 6])
def test_a_resumed_run_ends_with_the_same_average(step, tmp_path):
    whole, resumed = make(), make()
    data = DataLoader([tiny_batch(6, seed=0)] * 8, batch_size=None)  # a plain list has no position to restore

    def run(task, *callbacks, **point):
        trainer = Trainer(
            max_epochs=1,
            callbacks=list(callbacks),
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            min_steps=0,
        )
        trainer.fit(task, data, weights_only=True, **point)

    run(whole, SWA(start=4))
    run(make(), SWA(start=4), Interrupt(step, tmp_path / "stop.ckpt"))
    run(resumed, SWA(start=4), ckpt_path=tmp_path / "stop.ckpt")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


@pytest.mark.parametrize("make_one", [lambda: EMA(decay=1.0), lambda: SWA(start=-1), lambda: EMA(every=0)])
def test_values_out_of_range_are_refused(make_one):
    with pytest.raises(ConfigError):
        make_one()
