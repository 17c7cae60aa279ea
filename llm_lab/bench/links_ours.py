"""The job of `llm_lab.bench.links` by our Trainer: ``python links_ours.py JSON``."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from llm_lab.knowledge.triples import Triples


class Stopwatch(Callback):
    """Seconds of every epoch and of the last validation."""

    def __init__(self) -> None:
        self.epochs: list[float] = []
        self.evaluation = self._start = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """An epoch begins."""
        self._start = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """An epoch ends."""
        self.epochs.append(time.perf_counter() - self._start)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """An evaluation begins."""
        self._start = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """An evaluation ends."""
        self.evaluation = time.perf_counter() - self._start


def words_of(job: dict[str, Any]) -> list[str]:
    """The job as words of the command line; a triple is asked both ways, so that it makes two of a batch."""
    sampled = job["loop"] == "slcwa"
    return [
        "+experiment=link_prediction",
        f"knowledge={job['graph']}",
        f"model.dim={2 * job['dim']}",
        f"model.init={job['init']}",
        "model.n3=0",
        "model.dropout=0",
        f"task.objective={'negative_sampling' if sampled else 'k_vs_all'}",
        "task.label_smoothing=0",
        "task.negatives=1",
        "task.adversarial_temperature=0",
        f"task.loss={'binary_cross_entropy' if sampled else 'cross_entropy'}",
        f"data.batch_size={job['batch'] // 2 if sampled else job['batch']}",
        f"trainer.max_epochs={job['epochs']}",
        "optimizer.lr=0.1",
    ]


def graph_of(name: str) -> Triples:
    """The triples of a choice of ``knowledge=``."""
    from llm_lab.config import build
    from llm_lab.config.check import check
    from llm_lab.config.compose import compose
    from llm_lab.data.module import DataModule
    from llm_lab.knowledge.triples import read_triples

    config = check(compose(["+experiment=link_prediction", f"knowledge={name}"])).config
    return read_triples(build(config.data, expected=DataModule, key="data").prepare().folder)


def main(job: dict[str, Any]) -> None:
    """Train, evaluate on the test split, write the figures."""
    import torch

    from llm_lab.config import build
    from llm_lab.config.check import check
    from llm_lab.config.compose import compose
    from llm_lab.data.module import DataModule
    from llm_lab.modes.quiet import hush
    from llm_lab.modes.train import build_task
    from llm_lab.modes.trainer import precision_of

    hush(log_file=False)
    torch.set_num_threads(job["threads"])
    torch.manual_seed(0)
    config = check(compose(words_of(job))).config
    data = build(config.data, expected=DataModule, key="data")
    task, watch = build_task(config, data.prepare()), Stopwatch()
    trainer = Trainer(
        precision=precision_of(config.trainer),  # type: ignore[arg-type]
        max_epochs=job["epochs"],
        limit_val_batches=0,
        logger=False,
        callbacks=[watch],
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=job["folder"],
    )
    trainer.fit(task, data)
    trainer.limit_val_batches = 1.0
    (found,) = trainer.validate(task, dataloaders=data.test_dataloader(), verbose=False)
    first = int(len(watch.epochs) > 1)  # kernels are made ready in the first
    figures = {"epoch": median(watch.epochs[first:]), "evaluation": watch.evaluation, "mrr": found["val/mrr"]}
    Path(job["figures"]).write_text(json.dumps(figures), encoding="utf-8")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
