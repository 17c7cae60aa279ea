"""Two ranks with a copy of the model each: exact strategies equal one process, all resume, bytes are counted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from tests.conftest import BAD, GOOD, PLAIN, make_toy
from tests.strategies.pair import state_dict, train_in_pair

STEPS, HALF = 50, 25
COMMON = (
    "+experiment=toy",
    "model=words",
    "trainer.max_epochs=-1",
    "trainer.val_check_interval=1.0",
    "trainer.gradient_clip_val=null",
    "model.dropout=0",
    "callbacks.best=null",
    "callbacks.early_stopping=null",
    "callbacks.resume.interval=0.5",
    "mode.test=false",
    "mode.report=false",
    "mode.baseline=false",
    "launch.oversubscribe=true",
    f"trainer.max_steps={STEPS}",
)
SGD = ("optimizer=sgd", "optimizer.lr=0.2")
ADAMW = ("optimizer=adamw", "optimizer.lr=1e-2")
REFERENCES = {"sgd": SGD, "adamw": ADAMW}
EXACT = {
    "ddp_sgd": (*SGD, "strategy=ddp", "data.batch_size=4", "trainer.accumulate_grad_batches=2"),
    "ddp_adamw": (*ADAMW, "strategy=ddp"),
    "static_sgd": (
        *SGD,
        "strategy=ddp",
        "strategy.static_graph=true",
        "strategy.bucket_cap_mb=0.01",
    ),
    "checkpointed_adamw": (*ADAMW, "strategy=ddp", "strategy.activation_checkpointing=true"),
    "local_sgd": (*SGD, "strategy=local_sgd", "strategy.every=1"),
}
INEXACT = {
    "bf16": (*ADAMW, "strategy=ddp_bf16_compress"),
    "powersgd": (*ADAMW, "strategy=ddp_powersgd", "strategy.rank=4", "strategy.bucket_cap_mb=0.01"),
    "local": (*ADAMW, "strategy=local_sgd", "strategy.every=4"),
    "diloco": (
        *ADAMW,
        "strategy=diloco",
        "strategy.every=4",
        "strategy.outer_lr=0.6",
        "strategy.outer_momentum=0.4",
    ),
}
BAND = {
    "bf16": 0.005,
    "powersgd": 0.02,
    "local": 0.3,
    "diloco": 0.4,
}  # after 50 steps, see docs/strategies.md
RESUMED = ("ddp_adamw", "powersgd", "local", "diloco")
TOLERANCE = {"sgd": 1e-6, "adamw": 2e-5, "local_sgd": 1e-5}  # local SGD rounds parameters, not gradients


WORDS = """# The toy's model over whole words: a learned tokenizer is another one at every training.
_target_: llm_lab.models.text.from_scratch
architecture: bert
sizes: {{hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32}}
tokenizer:
  _target_: llm_lab.data.tokenizers.Pretrained
  source: file://{folder}
wrappers:
  lean: {{_target_: llm_lab.models.lean.Lean}}
"""


def words_only(folder: Path) -> None:
    """Save a tokenizer of the toy's words and a model that uses it."""
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *dict.fromkeys([*GOOD, *BAD, *PLAIN])]
    words = Tokenizer(WordLevel({word: place for place, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    words.pre_tokenizer = WhitespaceSplit()
    words.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=words, **special).save_pretrained(folder / "words")
    (folder / "conf" / "model" / "words.yaml").write_text(WORDS.format(folder=folder / "words"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    from llm_lab.__main__ import main
    from tests.conftest import forget_handlers

    folder = make_toy(tmp_path_factory.mktemp("pair"), rows=600)
    words_only(folder)
    before = Path.cwd()
    os.chdir(folder)
    for name, words in REFERENCES.items():
        assert main([*COMMON, *words, "data.batch_size=16", f"hydra.run.dir={name}"]) == 0
        forget_handlers()
    jobs = {name: [*COMMON, *words] for name, words in (EXACT | INEXACT).items()}
    train_in_pair(folder, jobs, resumed=dict.fromkeys(RESUMED, HALF))
    yield folder
    os.chdir(before)


def weights(run: Path, step: int = STEPS) -> dict[str, torch.Tensor]:
    """All weights but the biases of attention keys, whose gradient is rounding noise."""
    return {name: value for name, value in state_dict(run, step).items() if not name.endswith("key.bias")}


def metrics(run: Path) -> dict[str, Any]:
    return json.loads((run / "metrics.json").read_text())


def curve(run: Path) -> list[float]:
    rows = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    return [row["val/loss"] for row in rows if "val/loss" in row]


@pytest.mark.parametrize("name", EXACT)
def test_an_exact_strategy_equals_one_process(name: str, runs: Path) -> None:
    kind = name.rpartition("_")[2]
    tolerance = TOLERANCE.get(name, TOLERANCE[kind])
    alone, together = weights(runs / kind), weights(runs / name)
    start = weights(runs / kind, HALF)
    assert alone.keys() == together.keys()
    assert max(float((alone[key] - start[key]).abs().max()) for key in alone) > 1e-2
    for key, value in alone.items():
        assert torch.allclose(value, together[key], rtol=0, atol=tolerance), key


@pytest.mark.parametrize("name", INEXACT)
def test_an_inexact_strategy_stays_near_one_process(name: str, runs: Path) -> None:
    alone, together = curve(runs / "adamw"), curve(runs / name)
    assert len(alone) == len(together) >= 2
    assert alone[-1] < 0.5 * alone[0]
    assert together != alone
    assert together[-1] < 0.6 * together[0]
    assert abs(alone[-1] - together[-1]) < BAND[name]


@pytest.mark.parametrize("name", RESUMED)
def test_a_resumed_run_equals_the_uninterrupted_one(name: str, runs: Path) -> None:
    whole, resumed = state_dict(runs / name, STEPS), state_dict(runs / f"{name}-resumed", STEPS)
    for key, value in whole.items():
        assert torch.equal(value, resumed[key]), key


@pytest.mark.parametrize("name", [*EXACT, *INEXACT])
def test_the_artifact_is_what_was_trained(name: str, runs: Path) -> None:
    saved = load_file(runs / name / "model" / "model.safetensors")
    trained = state_dict(runs / name, STEPS)
    for key, value in saved.items():
        assert torch.equal(value, trained[f"model.{key}"]), key
    assert metrics(runs / name)["run/world_size"] == 2
    assert not (runs / name / "logs" / "rank-2.log").exists()


def test_bytes_are_counted(runs: Path) -> None:
    sent = {name: metrics(runs / name)["run/bytes_sent_per_step"] for name in EXACT | INEXACT}
    numbers = sum(
        value.numel() for value in state_dict(runs / "adamw", STEPS).values() if value.is_floating_point()
    )
    # two ranks: an all-reduce sends each number once
    for name in ("ddp_sgd", "ddp_adamw", "static_sgd", "local_sgd"):
        assert sent[name] == 4 * numbers
    assert sent["bf16"] == 2 * numbers
    assert sent["powersgd"] < 0.9 * sent["ddp_adamw"]
    agreements = round(sent["local"] * STEPS / (4 * numbers))
    assert agreements in range(STEPS // 4, STEPS // 4 + 8)  # one every four steps, and for validation
