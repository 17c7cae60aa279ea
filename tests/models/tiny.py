"""The smallest data and models on which a property can be seen."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from llm_lab.data.spec import DataSpec

CONF = Path(__file__).resolve().parents[2] / "conf"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
WORDS = [
    "a",
    "the",
    "film",
    "story",
    "was",
    "is",
    "good",
    "bad",
    "fine",
    "dull",
    "bright",
    "grim",
    "very",
    "not",
    "and",
    "but",
]
LABELS = {
    "single_label": ("bad", "fair", "good"),
    "multi_label": ("fun", "sad", "new"),
    "regression": ("score",),
}


@functools.cache
def tokenizer_folder() -> Path:
    """A saved word tokenizer with twenty tokens."""
    words = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(SPECIAL + WORDS)}, unk_token="[UNK]")
    )
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    folder = Path(tempfile.mkdtemp(prefix="tiny-tokenizer-"))
    fast.save_pretrained(folder)
    return folder


def tiny_spec(problem: str = "single_label", **changes: Any) -> DataSpec:
    """A data set of thirty rows and three labels."""
    facts: dict[str, Any] = {
        "problem": problem,
        "labels": LABELS[problem],
        "sizes": {"train": 30, "val": 10, "test": 10},
        "class_counts": () if problem == "regression" else (15, 10, 5),
        "tokenizer": tokenizer_folder(),
        "max_length": 16,
        "fingerprint": "f" * 64,
    }
    return DataSpec(**(facts | changes))


def tiny_model(**changes: Any) -> dict[str, Any]:
    """Node of a BERT of two layers, eight wide."""
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    node = {
        "_target_": "llm_lab.models.text.from_scratch",
        "architecture": "bert",
        "sizes": {**sizes, "max_position_embeddings": 32},
        "tokenizer": {},
        "dropout": 0.0,
    }
    return node | changes


def tiny_batch(rows: int, problem: str = "single_label", seed: int = 0, targets: int | None = None) -> Any:
    """Rows of random words and lengths with random labels, as a data module gives them."""
    random = torch.Generator().manual_seed(seed)
    lengths = torch.randint(3, 12, (rows,), generator=random)
    mask = (torch.arange(int(lengths.max()))[None] < lengths[:, None]).long()
    tokens = torch.randint(4, len(SPECIAL) + len(WORDS), mask.shape, generator=random) * mask
    tokens[:, 0] = 2
    labels = {
        "single_label": lambda: torch.randint(0, 3, (rows,), generator=random),
        "multi_label": lambda: torch.randint(0, 2, (rows, 3), generator=random).float(),
        "regression": lambda: torch.randn(rows, generator=random),
    }[problem]()
    return {
        "input_ids": tokens,
        "attention_mask": mask,
        "labels": labels,
        "index": torch.arange(rows),
        "step_targets": torch.tensor(float(targets or rows)),
    }


def part(batch: dict[str, torch.Tensor], rows: slice) -> dict[str, torch.Tensor]:
    """Some rows of a batch, which still belong to the same optimizer step."""
    return {name: value if name == "step_targets" else value[rows] for name, value in batch.items()}


def option(group: str, name: str) -> DictConfig:
    """A shipped choice, with what its interpolations into its own group need."""
    return OmegaConf.create({group: OmegaConf.load(CONF / group / f"{name}.yaml")})[group]


def options(group: str) -> list[str]:
    """The shipped choices of a group."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def task_nodes(**changes: Any) -> dict[str, Any]:
    """What every task takes, as plain nodes."""
    nodes = {
        "model": tiny_model(),
        "optimizer": {"_target_": "llm_lab.optim.optimizers.adamw", "lr": 0.01},
        "scheduler": {"_target_": "llm_lab.optim.schedulers.linear"},
    }
    return nodes | changes


def tiny_encoder(folder: Path, texts: Sequence[str]) -> Path:
    """A saved BERT of random weights whose tokenizer knows the words of some texts."""
    found = dict.fromkeys(word for text in texts for word in text.replace("_", " ").split())
    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate([*SPECIAL, *found])}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep")}
    PreTrainedTokenizerFast(tokenizer_object=words, **names).save_pretrained(folder)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(SPECIAL) + len(found), hidden_dropout_prob=0.0, **sizes)
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


def tiny_whisper(folder: Path) -> Path:
    """A saved Whisper of one layer that hears two seconds, with a tokenizer of characters."""
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    from llm_lab.data.tokenizers import Trained

    folder.mkdir()
    tokenizer = Trained(kind="character", vocab_size=40, template="eos", whitespace=True)
    tokenizer.save(folder, lambda: ["low mid high"])
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=40, num_mel_bins=16, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_source_positions=100,
        max_target_positions=32, pad_token_id=0, bos_token_id=2, eos_token_id=2, decoder_start_token_id=3, dropout=0.0,
    )  # fmt: skip
    WhisperForConditionalGeneration(config).save_pretrained(folder)
    return folder
