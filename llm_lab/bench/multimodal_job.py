"""One contestant of the multimodal benchmark: ``python -m llm_lab.bench.multimodal_job NAME FILE WORDS...``."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from PIL import Image
from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows
from torch.utils.data import DataLoader, Dataset

from llm_lab import assets
from llm_lab.bench.loops import composed, lightning
from llm_lab.config import build
from llm_lab.config.hardware import supports_bf16
from llm_lab.data.multimodal import module
from llm_lab.data.multimodal.ingest import root_of
from llm_lab.data.multimodal.module import MultimodalData, load_tokenizer
from llm_lab.data.readers import read
from llm_lab.data.record import Record
from llm_lab.models import feature_cache
from llm_lab.modes.train import build_task
from llm_lab.modes.trainer import precision_of, use_processor

CONTEXT, WORKERS, DECAY, LARGEST = 77, 2, 0.2, math.log(100)


class Files(Dataset[tuple[Tensor, Tensor]]):
    """Rows as open_clip's CSV data set has them: a file decoded, resized and scaled, a text tokenized, at each call."""

    def __init__(self, data: MultimodalData, rows: int) -> None:
        source = data.sources[0]
        records = (one for one in read(source, data.inputs.columns) if isinstance(one, Record))
        root = root_of(source)
        self.rows = [
            (root / str(source.path).replace("{}", str(one.values["picture"])), str(one.values["question"]))
            for one in islice(records, rows)
        ]
        self.kind: Any = data.inputs.kinds["picture"]
        self.tokenizer = load_tokenizer(data.prepare().folder)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        path, text = self.rows[index]
        picture = (
            Image.open(path)
            .convert("RGB")
            .resize((self.kind.width, self.kind.height), Image.Resampling.BICUBIC)
        )
        pixels = torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1).float().div(255)
        told = self.tokenizer(
            text, padding="max_length", truncation=True, max_length=CONTEXT, return_tensors="pt"
        )
        return (pixels - self.kind.mean) / self.kind.std, told["input_ids"][0]


def bare(config: Any) -> list[float]:
    """Pictures per second of the bare loop."""
    data: Any = build(config.data, expected=MultimodalData, key="data")
    spec = data.prepare()
    model = build_task(config, spec).network().train()
    batch = int(config.data.batch_size)
    loader = DataLoader(
        Files(data, spec.sizes["train"]), batch_size=batch, shuffle=True, drop_last=True, num_workers=WORKERS
    )
    scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
    optimizer = torch.optim.AdamW(groups(model, scale), lr=5e-4, betas=(0.9, 0.98), eps=1e-6)
    padding, start = int(spec.summary["pad_id"]), perf_counter()
    for pictures, texts in loader:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=supports_bf16("cpu")):
            found = model(
                picture=pictures, question=texts, question_mask=(texts != padding).long()
            ).last_hidden_state
            loss: Any = clip_loss(found[:, 0], found[:, 1], scale.exp())
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            scale.clamp_(0, LARGEST)
    return [len(loader) * batch / (perf_counter() - start)]


def groups(model: nn.Module, scale: nn.Parameter) -> list[dict[str, Any]]:
    """No decay on norms, biases and the scale."""
    parts = [one for one in model.parameters() if one.requires_grad]
    return [
        {"params": [scale, *(one for one in parts if one.ndim < 2)], "weight_decay": 0.0},  # noqa: PLR2004
        {"params": [one for one in parts if one.ndim >= 2], "weight_decay": DECAY},  # noqa: PLR2004
    ]


def clip_loss(pictures: Tensor, texts: Tensor, scale: Tensor) -> Tensor:
    """Each picture finds its text among those of the batch, and the other way (Radford et al. 2021)."""
    logits = scale * pictures @ texts.T
    labels = torch.arange(len(logits))
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2


def ours(config: Any) -> list[float]:
    """Pictures per second of what the command does."""
    return [float(config.data.batch_size) / lightning(config, ledger=True)]


def loader(config: Any) -> list[float]:
    """Pictures per second of our batches."""
    data: Any = build(config.data, expected=MultimodalData, key="data")
    batches, start = data.train_dataloader(), perf_counter()
    rows = sum(len(batch["index"]) for batch in batches)
    return [rows / (perf_counter() - start)]


def reading(config: Any) -> list[float]:
    """Pictures per second of preparing data that nobody has prepared yet, texts and labels included."""
    vars(module)["FORMAT"] = f"bench-{os.getpid()}"
    data: Any = build(config.data, expected=MultimodalData, key="data")
    start = perf_counter()  # whoever ran before has fetched the files
    folder = data.prepare().folder
    seconds = perf_counter() - start
    pictures = sum(len(np.load(folder / f"{name}.npy", mmap_mode="r")) for name in data.inputs.media)
    shutil.rmtree(folder)
    return [pictures / seconds]


class Epochs(Callback):
    """Seconds of each epoch of training."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._start = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._start = perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop it."""
        self.seconds.append(perf_counter() - self._start)


def epochs(config: Any) -> list[float]:
    """Seconds of each epoch with a frozen tower, whose features nobody has yet."""
    vars(feature_cache)["FOLDER"] = f"features-bench-{os.getpid()}"
    data: Any = build(config.data, expected=MultimodalData, key="data")
    task, clock = build_task(config, data.prepare()), Epochs()
    precision: Any = precision_of(config.trainer)
    trainer = Trainer(
        max_epochs=config.trainer.max_epochs, precision=precision, logger=False, callbacks=[clock],
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, limit_val_batches=0,
        use_distributed_sampler=False,
    )  # fmt: skip
    try:
        trainer.fit(task, data)
    finally:
        shutil.rmtree(assets.home() / feature_cache.FOLDER, ignore_errors=True)
    return clock.seconds


CONTESTANTS: dict[str, Callable[[Any], list[float]]] = {
    "bare": bare,
    "ours": ours,
    "loader": loader,
    "reading": reading,
    "epochs": epochs,
}


def main(name: str, file: Path, words: Sequence[str]) -> None:
    """Run a contestant on the job that the words compose; its figures as JSON."""
    config = composed(words)
    use_processor()
    seed_everything(config.seed, verbose=False)
    file.write_text(json.dumps(CONTESTANTS[name](config)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
