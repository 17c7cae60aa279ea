"""The data module as a task and a report see it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from transformers import AutoTokenizer

from llm_lab.errors import ConfigError
from tests.data.conftest import Make, sentence, table

ROWS = [(sentence(number), "ab"[number % 2]) for number in range(200)]


def test_batches_hold_what_the_table_holds(make: Make) -> None:
    data = make(table(ROWS), batch_size=16, split={})
    spec = data.prepare()
    tokenizer = AutoTokenizer.from_pretrained(spec.tokenizer)
    rows = {row["index"]: row for row in data.rows("train")}
    for batch in data.train_dataloader():
        assert {name: value.dtype for name, value in batch.items()} == {
            "input_ids": torch.int64,
            "attention_mask": torch.int64,
            "labels": torch.int64,
            "index": torch.int64,
            "step_targets": torch.float32,
        }
        assert batch["step_targets"] == len(batch["index"])
        for number, index in enumerate(batch["index"].tolist()):
            row = rows.pop(index)
            kept = batch["attention_mask"][number].bool()
            assert batch["input_ids"][number][kept].tolist() == tokenizer(row["text"])["input_ids"]
            assert (batch["input_ids"][number][~kept] == tokenizer.pad_token_id).all()
            assert spec.labels[batch["labels"][number]] == row["label"]
    assert not rows


def test_rows_keep_the_order_of_the_file(make: Make) -> None:
    data = make(table(ROWS), split={})
    assert [(row["text"], row["label"]) for row in data.rows("train")] == ROWS
    assert [row["index"] for row in data.rows("train")] == list(range(200))
    assert list(data.rows("test")) == []


def test_long_texts_are_cut_and_counted(make: Make) -> None:
    data = make(table(ROWS), max_length=20, split={})
    batch = next(iter(data.train_dataloader()))
    assert batch["input_ids"].shape[1] <= 20
    assert data.spec.max_length == 20
    cut = sum(len(text.replace(" ", "")) + 2 >= 20 for text, _ in ROWS)
    assert data.spec.summary["at_max_length"] == {"train": cut}
    assert data.spec.summary["tokenizer"]["fertility"] > 0


def test_padding_is_told(make: Make) -> None:
    data = make(table(ROWS), batch_size=8, split={"val": 0.2})
    for split, loader in (("train", data.train_dataloader()), ("val", data.val_dataloader())):
        tokens = cells = 0
        for batch in loader:
            tokens += int(batch["attention_mask"].sum())
            cells += batch["attention_mask"].numel()
        assert data.spec.summary["padding"][split] == pytest.approx(1 - tokens / cells, abs=1e-4)


def test_another_batch_size_needs_no_new_tokens(make: Make) -> None:
    one, other = make(table(ROWS), batch_size=8), make(batch_size=16)
    assert one.prepare().fingerprint == other.prepare().fingerprint
    assert len(one.train_dataloader()) > len(other.train_dataloader())


def test_ranks_and_accumulation_come_from_the_trainer(make: Make) -> None:
    data = make(table(ROWS), batch_size=4, split={"val": 0.2})
    rows, empty = [], 0
    for rank in range(3):
        data.trainer = SimpleNamespace(
            accumulate_grad_batches=2,
            distributed_sampler_kwargs={"num_replicas": 3, "rank": rank},
            num_training_batches=float("inf"),
        )
        batches = list(data.train_dataloader())
        assert all(batch["step_targets"] == 24 for batch in batches[:-2])
        rows += [row for batch in batches for row in batch["index"].tolist()]
        val = list(data.val_dataloader())
        assert all(batch["step_targets"] <= 12 for batch in val)
        empty += sum(not len(batch["index"]) for batch in val)
    assert sorted(rows) == list(range(data.spec.sizes["train"]))
    assert empty == 0


def test_a_rank_without_rows_adds_nothing_to_the_gradient(make: Make) -> None:
    from transformers import BertConfig, BertForSequenceClassification

    data = make(table(ROWS[:40]), batch_size=4, split={})
    data.trainer = SimpleNamespace(
        accumulate_grad_batches=1,
        distributed_sampler_kwargs={"num_replicas": 64, "rank": 63},
        num_training_batches=float("inf"),
    )
    batch = next(iter(data.train_dataloader()))
    assert {name: tuple(value.shape) for name, value in batch.items()} == {
        "input_ids": (1, 1),
        "attention_mask": (1, 1),
        "labels": (0,),
        "index": (0,),
        "step_targets": (),
    }
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    model = BertForSequenceClassification(BertConfig(vocab_size=200, **sizes))
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:0]
    torch.nn.functional.cross_entropy(logits, batch["labels"], reduction="sum").backward()
    assert all(weight.grad is None or not weight.grad.any() for weight in model.parameters())


def test_a_bare_loop_gets_a_new_order_each_epoch(make: Make) -> None:
    loader = make(table(ROWS), split={}).train_dataloader()
    epochs = [[row for batch in loader for row in batch["index"].tolist()] for _ in range(3)]
    assert len({tuple(rows) for rows in epochs}) == 3
    loader.set_epoch(1)
    assert [row for batch in loader for row in batch["index"].tolist()] == epochs[1]


def test_arrow_files_open_with_the_datasets_library(make: Make) -> None:
    from datasets import Dataset

    data = make(table(ROWS), split={})
    spec = data.prepare()
    rows = Dataset.from_file(str(spec.tokenizer.parent / "train.arrow"))
    assert rows.column_names == ["text", "label", "input_ids"]
    assert rows[3]["text"] == ROWS[3][0]


def test_a_batch_needs_a_row(make: Make) -> None:
    with pytest.raises(ConfigError, match=r"data\.batch_size: at least 1 is wanted, found 0"):
        make(source="x.csv", batch_size=0)
    with pytest.raises(ConfigError, match=r"data\.limit: at least 1 is wanted, found 0"):
        make(source="x.csv", limit=0)
