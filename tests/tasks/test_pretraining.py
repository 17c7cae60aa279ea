"""Every objective learns, over every architecture, whatever the cut; documents of a block do not see each other."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    ElectraForPreTraining,
    T5ForConditionalGeneration,
    pipeline,
)

from llm_lab.errors import ConfigError
from tests.tasks.pretraining import (
    LENGTH,
    OBJECTIVES,
    SPECIAL,
    alone,
    blocks,
    language_spec,
    objective,
    rows_of,
    tokenizer_folder,
)

each_objective = pytest.mark.parametrize(("name", "architecture"), OBJECTIVES, ids=str)


def outputs_of(task, batch):
    """What the model says for every token that it is given, in the documents of the row, logits [B, T, V]."""
    network = task.network()
    if hasattr(network, "discriminator"):
        return network.discriminator(**task.inputs(batch)).logits[..., None]
    if "decoder_inputs" in batch:
        return task(batch)
    found = network(**task.inputs(batch))
    return found.prediction_logits if "prediction_logits" in found else found.logits


@each_objective
def test_documents_of_a_block_do_not_see_each_other(name, architecture):
    task = objective(name, architecture).eval()
    batch = task.targeted(blocks(4)) if architecture == "t5" else blocks(4)
    given, owner = ("inputs", "input_segments") if architecture == "t5" else ("input_ids", "segments")
    told = batch["target_segments"] if architecture == "t5" else batch["segments"]
    changed = batch[given].clone()
    place = (batch[owner] == 2).int().argmax(dim=1) + 1
    rows = torch.arange(len(changed))
    changed[rows, place] = torch.where(changed[rows, place] == len(SPECIAL), len(SPECIAL) + 1, len(SPECIAL))
    with torch.no_grad():
        before, after = outputs_of(task, batch), outputs_of(task, batch | {given: changed})
    moved = (before != after).any(dim=-1)
    assert not moved[(told != 2) & (told >= 0)].any()
    assert all(moved[row][told[row] == 2].any() for row in rows)


@pytest.mark.parametrize("architecture", ["bert", "roberta", "modernbert", "gpt2", "llama"])
def test_a_document_in_a_block_is_read_as_if_it_stood_alone(architecture):
    task = objective(
        "causal_lm.CausalLM" if architecture in {"gpt2", "llama"} else "masked_lm.MaskedLM", architecture
    ).eval()
    batch = blocks(1)
    mine = batch["segments"][0] == 2
    with torch.no_grad():
        packed = outputs_of(task, batch)[0, mine]
        by_itself = task.network()(input_ids=batch["input_ids"][:, mine]).logits[0]
    assert torch.allclose(packed, by_itself, atol=1e-5)


@each_objective
def test_gradient_does_not_depend_on_the_cut(name, architecture):
    task = objective(name, architecture)
    batch = blocks(8)

    def gradient(*parts):
        alone(task, accumulate=len(parts))
        task.zero_grad()
        for part in parts:
            (task.training_step(part) / len(parts)).backward()
        return torch.cat([p.grad.flatten() for p in task.parameters() if p.grad is not None])

    whole = gradient(batch)
    halves = gradient(rows_of(batch, slice(0, 3)), rows_of(batch, slice(3, 8)))
    assert whole.abs().max() > 0
    assert torch.allclose(whole, halves, rtol=1e-3, atol=1e-6)


@each_objective
def test_it_learns_some_rows_by_heart(name, architecture):
    task = objective(name, architecture).train()
    batch = blocks(32)
    optimizer = torch.optim.AdamW(task.parameters(), lr=3e-3)
    losses = []
    for _ in range(120):
        optimizer.zero_grad()
        loss = task.training_step(batch)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.6 * losses[0]


@each_objective
def test_validation_is_fixed_and_counts_every_target(name, architecture):
    task = objective(name, architecture).eval()
    logged = []
    task.log_dict = lambda values, **_: logged.append({key: float(value) for key, value in values.items()})
    batch = blocks(8)
    with torch.no_grad():
        for parts in ([batch], [rows_of(batch, slice(0, 3)), rows_of(batch, slice(3, 8))]):
            for part in parts:
                task.validation_step(part)
            task.on_validation_epoch_end()
    assert logged[0] == pytest.approx(logged[1], rel=1e-4)
    assert {"val/loss", "val/perplexity", "val/tokenaccuracy"} <= set(logged[0])


@each_objective
def test_a_rank_without_rows_adds_nothing(name, architecture):
    task = objective(name, architecture)
    filler = {
        "input_ids": torch.zeros(1, 1, dtype=torch.int64),
        "attention_mask": torch.zeros(1, 1, dtype=torch.int64),
        "position_ids": torch.zeros(1, 1, dtype=torch.int64),
        "labels": torch.full((0, 1), -100),
        "pair_labels": torch.zeros(0, dtype=torch.int64),
        "index": torch.zeros(0, dtype=torch.int64),
        "step_targets": torch.tensor(10.0),
    }
    loss = task.training_step(filler)
    loss.backward()
    assert float(loss.detach()) == 0
    assert all(not p.grad.any() for p in task.parameters() if p.grad is not None)


def test_masks_change_with_the_epoch_and_not_in_validation():
    task = objective("masked_lm.MaskedLM", "bert")
    batch = blocks(4)
    first = task.train().targeted(batch)["hidden"]
    task._trainer.current_epoch = 1
    assert not torch.equal(first, task.targeted(batch)["hidden"])
    fixed = task.eval().targeted(batch)["hidden"]
    task._trainer.current_epoch = 2
    assert torch.equal(fixed, task.targeted(batch)["hidden"])


@pytest.mark.parametrize(
    ("name", "architecture", "kind"),
    [
        ("causal_lm.CausalLM", "gpt2", AutoModelForCausalLM),
        ("causal_lm.CausalLM", "llama", AutoModelForCausalLM),
        ("span_corruption.SpanCorruption", "t5", T5ForConditionalGeneration),
        ("replaced_token.ReplacedToken", "electra", ElectraForPreTraining),
    ],
)
def test_plain_transformers_loads_what_was_saved(name, architecture, kind, tmp_path):
    task = objective(name, architecture).eval()
    task._trainer = None
    task.save_artifact(tmp_path / "model")
    loaded, info = kind.from_pretrained(tmp_path / "model", output_loading_info=True)
    network = getattr(task.network(), "discriminator", task.network())
    tokens = blocks(2)["input_ids"]
    inputs = {"input_ids": tokens} | ({"decoder_input_ids": tokens} if architecture == "t5" else {})
    with torch.no_grad():
        assert torch.equal(loaded.eval()(**inputs).logits, network(**inputs).logits)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]


def test_fill_mask_pipeline_fills_in_what_the_task_would(tmp_path):
    task = objective("masked_lm.MaskedLM", "bert").eval()
    task._trainer = None
    task.save_artifact(tmp_path / "model")
    fill = pipeline("fill-mask", model=str(tmp_path / "model"))
    tokens = AutoTokenizer.from_pretrained(tmp_path / "model")("a b [MASK] c", return_tensors="pt")[
        "input_ids"
    ]
    with torch.no_grad():
        best = task.network()(input_ids=tokens).logits[0, 2].argmax()
    assert fill("a b [MASK] c")[0]["token"] == int(best)


def test_a_tokenizer_without_a_mask_is_refused():
    with pytest.raises(ConfigError, match="model.tokenizer.*mask"):
        objective("masked_lm.MaskedLM", "bert", spec=language_spec(tokenizer=tokenizer_folder(mask=False)))


def test_too_few_sentinels_are_told():
    with pytest.raises(ConfigError, match="model.tokenizer.extra_ids: 25 sentinels"):
        objective("span_corruption.SpanCorruption", "t5", spec=language_spec(max_length=500))


def test_electra_alone_learns_from_replaced_tokens():
    with pytest.raises(ConfigError, match="model=electra"):
        objective("replaced_token.ReplacedToken", "bert")


def test_blocks_longer_than_the_model_takes_are_told():
    with pytest.raises(ConfigError, match=r"data.max_length: 100 .* 64"):
        objective("masked_lm.MaskedLM", "bert", spec=language_spec(max_length=100))
    assert LENGTH < 64
