"""nanoGPT's recipe for characters on a processor, from its published hyper-parameters.

``python -m llm_lab.bench.nanogpt FILE WORDS...`` runs it. Source: https://github.com/karpathy/nanoGPT, its README and
``config/train_shakespeare_char.py``: 4 layers, 4 heads, 128 wide, blocks of 64, no biases, no dropout, batches of 12 at
random places, 2,000 steps, single precision. Its estimates of the loss are left out, which saves it time.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from llm_lab.bench.clock import Clock
from llm_lab.config import build
from llm_lab.config.check import check
from llm_lab.config.compose import compose
from llm_lab.data.module import DataModule

LAYERS, HEADS, WIDTH, LENGTH = 4, 4, 128, 64
BATCH, STEPS, WARMUP, RATE, LOWEST, DECAY, CLIP = 12, 2000, 100, 1e-3, 1e-4, 0.1, 1.0
BETAS, EVERY = (0.9, 0.99), 100


class Layer(nn.Module):
    """Norm, causal attention, residual; norm, two dense layers, residual."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH, bias=False) for _ in range(2))
        self.into, self.out = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, states: Tensor) -> Tensor:
        """New states [B, T, W]."""
        parts = self.into(self.norms[0](states)).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = parts
        context = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        states = states + self.out(context.transpose(1, 2).flatten(2))
        return states + self.down(F.gelu(self.up(self.norms[1](states))))


class Characters(nn.Module):
    """Embeddings, layers, and the embeddings again as the head."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.layers, self.norm = (
            nn.Sequential(*(Layer() for _ in range(LAYERS))),
            nn.LayerNorm(WIDTH, bias=False),
        )
        for name, weight in self.named_parameters():
            residual = name.endswith(("out.weight", "down.weight"))
            if weight.ndim > 1:
                nn.init.normal_(weight, std=0.02 / math.sqrt(2 * LAYERS) if residual else 0.02)

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        """Mean nats of the targets [B, T]."""
        states = self.tokens(ids) + self.places.weight[: ids.shape[1]]
        logits = F.linear(self.norm(self.layers(states)), self.tokens.weight)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def rate(step: int) -> float:
    """Warm-up, then half a cosine down to a tenth."""
    if step < WARMUP:
        return RATE * (step + 1) / (WARMUP + 1)
    return LOWEST + 0.5 * (RATE - LOWEST) * (1 + math.cos(math.pi * (step - WARMUP) / (STEPS - WARMUP)))


def at(stream: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Blocks and their next characters from these places on."""
    rows = stream[places[:, None] + torch.arange(LENGTH + 1)]
    return rows[:, :-1], rows[:, 1:]


def draw(stream: Tensor) -> tuple[Tensor, Tensor]:
    """A batch at random places."""
    return at(stream, torch.randint(len(stream) - LENGTH, (BATCH,)))


@torch.no_grad()
def whole(model: nn.Module, stream: Tensor) -> float:
    """Mean nats over a split in blocks that do not overlap."""
    places = torch.arange(0, len(stream) - LENGTH, LENGTH)
    losses = [(len(some), float(model(*at(stream, some)))) for some in torch.split(places, 128)]
    return sum(count * loss for count, loss in losses) / len(places)


def train(streams: dict[str, Tensor], vocabulary: int, seed: int, steps: int) -> dict[str, Any]:
    """Run the recipe, with a validation over the whole split every so often."""
    torch.manual_seed(seed)
    model, clock = Characters(vocabulary), Clock()
    groups = [
        {"params": [p for p in model.parameters() if (p.ndim > 1) == matrix], "weight_decay": DECAY * matrix}
        for matrix in (True, False)
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=BETAS)
    clock.start()
    for step in range(1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = rate(step - 1)
        model(*draw(streams["train"])).backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        clock.stop(step)
        if step % EVERY == 0 or step == steps:
            clock.pause()
            clock.go_on(whole(model, streams["val"]))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return clock.figures() | {"curve": clock.curve, "parameters": parameters}


def main(file: Path, words: Sequence[str]) -> None:
    """Take the tokens of the composed job, train and write the figures; ``steps=N`` among the words is a short look."""
    steps = next((int(word[6:]) for word in words if word.startswith("steps=")), STEPS)
    config = check(compose([word for word in words if not word.startswith("steps=")])).config
    data: Any = build(config.data, expected=DataModule, key="data")
    data.prepare()
    tables = {"train": data.train_dataloader().table, "val": data.val_dataloader().table}
    streams = {name: torch.from_numpy(np.array(table.stream.tokens)).long() for name, table in tables.items()}
    vocabulary = 1 + max(int(stream.max()) for stream in streams.values())
    file.write_text(json.dumps(train(streams, vocabulary, config.seed, steps)), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2:])
