"""Running text, tokenizer and models so small that an objective can learn them by heart."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from llm_lab.config import build
from llm_lab.data.spec import DataSpec
from llm_lab.tasks.task import Task
from tests.models.tiny import part

NAMES = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
SENTINELS = [f"<extra_id_{number}>" for number in range(8)]
WORDS = [*"abcdefghijklmnopqrst", *("##" + letter for letter in "abcdefgh"), "\u4e2d", "##\u6587"]
SPECIAL = [*NAMES.values(), "[MASK]", "[EOS]", *SENTINELS]
LENGTH = 24

BERT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}
SIZES: dict[str, dict[str, Any]] = {
    "bert": BERT,
    "roberta": BERT,
    "electra": BERT | {"embedding_size": 16},
    "modernbert": BERT | {"local_attention": 8},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
    "llama": BERT,
    "t5": {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4},
}
METRICS = {
    "masked_lm.MaskedLM": ("TokenAccuracy", "Perplexity"),
    "next_sentence.NextSentence": ("TokenAccuracy", "Perplexity", "PairAccuracy"),
    "causal_lm.CausalLM": ("TokenAccuracy", "Perplexity"),
    "span_corruption.SpanCorruption": ("TokenAccuracy", "Perplexity"),
    "replaced_token.ReplacedToken": ("TokenAccuracy", "Perplexity", "DetectorAccuracy", "DetectorF1"),
}
OBJECTIVES = [
    ("masked_lm.MaskedLM", "bert"),
    ("masked_lm.MaskedLM", "roberta"),
    ("masked_lm.MaskedLM", "modernbert"),
    ("next_sentence.NextSentence", "bert"),
    ("causal_lm.CausalLM", "gpt2"),
    ("causal_lm.CausalLM", "llama"),
    ("span_corruption.SpanCorruption", "t5"),
    ("replaced_token.ReplacedToken", "electra"),
]


@functools.cache
def tokenizer_folder(*, mask: bool = True) -> Path:
    """A saved tokenizer of word pieces."""
    numbers = {token: number for number, token in enumerate([*SPECIAL, *WORDS])}
    pieces: Any = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))
    pieces.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    pieces.decoder = decoders.WordPiece()
    names = NAMES | {"eos_token": "[EOS]"} | ({"mask_token": "[MASK]"} if mask else {})
    folder = Path(tempfile.mkdtemp(prefix="tiny-tokenizer-"))
    fast = PreTrainedTokenizerFast(tokenizer_object=pieces, additional_special_tokens=SENTINELS, **names)
    fast.save_pretrained(folder)
    return folder


def language_spec(**changes: Any) -> DataSpec:
    """A corpus without labels."""
    facts: dict[str, Any] = {
        "problem": "language",
        "labels": (),
        "sizes": {"train": 32, "val": 32},
        "tokenizer": tokenizer_folder(),
        "max_length": LENGTH,
        "fingerprint": "f" * 64,
    }
    return DataSpec(**(facts | changes))


def blocks(rows: int, seed: int = 0) -> dict[str, Tensor]:
    """Full blocks of three documents, ends and pair labels included, as the corpus gives them."""
    random = torch.Generator().manual_seed(seed)
    tokens = torch.randint(len(SPECIAL), len(SPECIAL) + len(WORDS), (rows, LENGTH), generator=random)
    inner = torch.randint(5, 10, (rows, 2), generator=random) + torch.tensor([0, 9])
    places = torch.arange(LENGTH)
    segments = 1 + (places >= inner[:, :1]).long() + (places >= inner[:, 1:]).long()
    begins = torch.ones_like(tokens, dtype=torch.bool)
    begins[:, 1:] = segments[:, 1:] != segments[:, :-1]
    starts = (places * begins).cummax(dim=1).values
    labels = torch.full_like(tokens, -100)
    labels[:, :-1] = tokens[:, 1:].masked_fill(begins[:, 1:], -100)
    return {
        "input_ids": tokens,
        "segments": segments,
        "position_ids": places - starts,
        "labels": labels,
        "pair_labels": torch.randint(0, 2, (rows,), generator=random),
        "index": torch.arange(rows),
        "step_targets": torch.tensor(float(rows * LENGTH)),
    }


def rows_of(batch: dict[str, Tensor], rows: slice) -> dict[str, Tensor]:
    """Some rows of a batch, which still belong to the same optimizer step."""
    return part(batch, rows)


def objective(name: str, architecture: str, **changes: Any) -> Task:
    """A task over a tiny model without dropout, outside a trainer."""
    torch.manual_seed(0)
    model = {
        "_target_": "llm_lab.models.text.from_scratch",
        "architecture": architecture,
        "sizes": SIZES[architecture],
        "tokenizer": {},
        "dropout": 0.0,
    }
    metrics = {kind.lower(): {"_target_": f"llm_lab.tasks.language_metrics.{kind}"} for kind in METRICS[name]}
    spec = changes.pop("spec", None) or language_spec()
    node = {"_target_": f"llm_lab.tasks.{name}", "metrics": metrics, "seed": 1} | changes
    task: Task = build(node, expected=Task, key="task", spec=spec, model=model, optimizer={}, scheduler={})
    task.configure_model()
    alone(task)
    return task


def alone(task: Task, *, accumulate: int = 1) -> None:
    """Let a task take steps without Lightning."""
    task._trainer = SimpleNamespace(  # type: ignore[assignment]
        accumulate_grad_batches=accumulate,
        distributed_sampler_kwargs=None,
        current_epoch=0,
    )
    task.log = task.log_dict = lambda *_, **__: None  # type: ignore[assignment, method-assign]
