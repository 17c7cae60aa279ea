"""Encoders from a folder and from scratch: what is built, and what is refused with which words."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    PreTrainedModel,
)

from llm_lab.config import build
from llm_lab.config.compose import compose
from llm_lab.errors import AssetError, ConfigError
from llm_lab.models.heads import Head
from tests.models.tiny import option, options, tiny_batch, tiny_model, tiny_spec, tokenizer_folder

INPUTS = ("input_ids", "attention_mask")


def make(node, spec=None) -> PreTrainedModel:
    return build(node, expected=PreTrainedModel, key="model", spec=spec or tiny_spec())


def logits(model, batch) -> torch.Tensor:
    return model.eval()(**{name: batch[name] for name in INPUTS}).logits


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A masked language model of the same shape as `tiny_model`: an encoder without a classification head."""
    path = tmp_path_factory.mktemp("encoder")
    config = BertConfig(
        vocab_size=20,
        max_position_embeddings=32,
        **{
            k: tiny_model()["sizes"][k]
            for k in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
        },
    )
    AutoModelForMaskedLM.from_config(config).save_pretrained(path)
    return path


PLAIN = [  # T5 has no such head, a graph no texts
    name
    for name in options("model")
    if "llm_lab.models.text" in option("model", name).get("_target_", "") and not name.startswith("t5")
]
HEADS = {"t5": Head.SEQ2SEQ_LM, "electra": Head.PRETRAINING, "gpt2": Head.CAUSAL_LM, "llama": Head.CAUSAL_LM}


@pytest.mark.parametrize("name", [name for name in options("model") if name not in PLAIN])
def test_every_size_is_built(name):
    """Sizes that other files inherit, on a device without memory, under the head that they are pretrained with."""
    node = compose([f"model={name}", "model.wrappers=null"]).config.model
    if "sizes" not in node:
        pytest.skip(f"{name} takes its weights from elsewhere")
    head = HEADS.get(name.split("_")[0], Head.MASKED_LM)
    with torch.device("meta"):
        model = build(node, expected=nn.Module, key="model", spec=tiny_spec(), head=head)
    assert {name: getattr(model.config, name) for name in node.sizes} == dict(node.sizes)


@pytest.mark.parametrize("name", PLAIN)
def test_every_shipped_model_gives_logits_per_label(name, folder):
    node = option("model", name)
    if "source" in node:
        node.source = str(folder)
    outputs = logits(make(node), tiny_batch(3))
    assert outputs.shape == (3, 3)
    assert outputs.isfinite().all()


def test_label_names_and_problem_stand_in_the_configuration():
    config = make(tiny_model()).config
    assert config.id2label == {0: "bad", 1: "fair", 2: "good"}
    assert config.label2id["good"] == 2
    assert config.problem_type == "single_label_classification"
    assert make(tiny_model(), tiny_spec("regression")).config.num_labels == 1


def test_vocabulary_is_the_tokenizers():
    model = make(tiny_model())
    assert model.get_input_embeddings().num_embeddings == 20
    assert model.config.pad_token_id == 0


def test_same_seed_same_weights():
    first, second, third = (torch.manual_seed(seed) and make(tiny_model()).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["classifier.weight"], third["classifier.weight"])


def test_pretrained_weights_are_taken_over_and_the_model_trains(folder):
    from safetensors.torch import load_file

    node = {
        "_target_": "llm_lab.models.text.pretrained",
        "source": str(folder),
        "tokenizer": {},
        "dropout": 0.3,
    }
    model = make(node)
    stored = load_file(folder / "model.safetensors")["bert.encoder.layer.1.output.dense.weight"]
    assert torch.equal(model.bert.encoder.layer[1].output.dense.weight, stored)
    assert {part.p for part in model.modules() if isinstance(part, torch.nn.Dropout)} == {0.3}
    assert all(part.training for part in model.modules())  # else dropout would be off in the fit
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize(
    ("what", "trains"),
    [
        (None, {"embeddings", "layer.0", "layer.1", "pooler", "classifier"}),
        ("embeddings", {"layer.0", "layer.1", "pooler", "classifier"}),
        (1, {"layer.1", "pooler", "classifier"}),
        ("backbone", {"pooler", "classifier"}),
    ],
)
def test_frozen_parts_get_no_gradient(what, trains):
    model = make(tiny_model(freeze=what))
    logits(model, tiny_batch(2)).sum().backward()
    moved = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    parts = {"embeddings", "layer.0", "layer.1", "pooler", "classifier"}
    assert {part for part in parts if any(part in name for name in moved)} == trains


def test_cannot_freeze_more_layers_than_there_are():
    with pytest.raises(ConfigError, match=r"model.freeze: 3 is not .* a number of layers from 0 to 2"):
        make(tiny_model(freeze=3))


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_pooled_model_survives_saving_and_ignores_padding(pooling, tmp_path):
    model = make(tiny_model(pooling=pooling))
    batch = tiny_batch(4)
    before = logits(model, batch)
    model.save_pretrained(tmp_path)
    node = {"_target_": "llm_lab.models.text.pretrained", "source": str(tmp_path), "tokenizer": {}}
    loaded = make(node)
    assert loaded.config.pooling == pooling
    assert torch.allclose(logits(loaded, batch), before, atol=1e-6)
    padded = {name: torch.nn.functional.pad(batch[name], (0, 5)) for name in INPUTS}
    assert torch.allclose(logits(loaded, padded), before, atol=1e-6)


def test_pooling_over_a_pretrained_encoder_keeps_its_weights(folder):
    node = {"_target_": "llm_lab.models.text.pretrained", "source": str(folder), "tokenizer": {}}
    plain, pooled = make(node), make(node | {"pooling": "mean"})
    assert torch.equal(
        plain.bert.encoder.layer[0].output.dense.weight, pooled.backbone.encoder.layer[0].output.dense.weight
    )
    logits(pooled, tiny_batch(2)).sum().backward()
    assert all(parameter.grad is not None for parameter in pooled.parameters())  # unused ones would stop DDP


def test_modernbert_pools_by_itself():
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    model = make(tiny_model(architecture="modernbert", sizes=sizes, pooling="mean"))
    assert type(model).__name__ == "ModernBertForSequenceClassification"
    assert model.config.classifier_pooling == "mean"


def test_pickled_weights_are_refused(tmp_path):
    BertForSequenceClassification(
        BertConfig(vocab_size=20, hidden_size=8, num_attention_heads=2)
    ).config.save_pretrained(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    node = {"_target_": "llm_lab.models.text.pretrained", "source": str(tmp_path), "tokenizer": {}}
    with pytest.raises(AssetError, match=r"only pytorch_model.bin, a pickle.*wanted are safetensors"):
        make(node)


def test_a_folder_without_a_model_is_named(tmp_path):
    node = {"_target_": "llm_lab.models.text.pretrained", "source": str(tmp_path), "tokenizer": {}}
    with pytest.raises(AssetError, match=r"model.source: .* is no model folder"):
        make(node)


def test_weights_of_another_model_are_refused(folder, tmp_path):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    text = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(text.replace('"num_hidden_layers": 2', '"num_hidden_layers": 3'))
    node = {"_target_": "llm_lab.models.text.pretrained", "source": str(tmp_path), "tokenizer": {}}
    with pytest.raises(AssetError, match=r"weights of \d+ parameters are missing, bert.encoder.layer.2"):
        make(node)


def test_weights_of_another_width_are_refused(folder, tmp_path):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    text = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(text.replace('"intermediate_size": 16', '"intermediate_size": 24'))
    node = {"_target_": "llm_lab.models.text.pretrained", "source": str(tmp_path), "tokenizer": {}}
    with pytest.raises(AssetError, match=r"bert.encoder.layer.0"):
        make(node)


def test_a_model_tuned_for_other_labels_gets_a_new_head(tmp_path):
    before = make(tiny_model())
    before.save_pretrained(tmp_path)
    node = {"_target_": "llm_lab.models.text.pretrained", "source": str(tmp_path), "tokenizer": {}}
    after = make(node, tiny_spec(labels=("a", "b"), class_counts=(15, 15)))
    assert after.classifier.out_features == 2
    assert torch.equal(after.bert.pooler.dense.weight, before.bert.pooler.dense.weight)


def test_a_config_that_wants_its_own_code_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config"}}')
    (tmp_path / "mine.py").write_text("raise SystemExit('this must not run')")
    (tmp_path / "model.safetensors").write_bytes(b"")
    node = {"_target_": "llm_lab.models.text.pretrained", "source": str(tmp_path), "tokenizer": {}}
    with pytest.raises(AssetError, match=r"model.source: transformers cannot load"):
        make(node)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"architecture": "brt"}, r"model.architecture: .*'brt'; did you mean 'bert'"),
        ({"sizes": {"hiden_size": 8}}, r"model.sizes.hiden_size: .*did you mean 'hidden_size'"),
        ({"sizes": {"hidden_size": 10, "num_attention_heads": 3}}, r"model.sizes: no bert can be built"),
        ({"sizes": {"hidden_size": "wide"}}, r"model.sizes: no bert can be built.*hidden_size"),
    ],
)
def test_sizes_that_do_not_fit_are_named(changes, words):
    with pytest.raises(ConfigError, match=words):
        make(tiny_model(**changes))


def test_rows_longer_than_the_model_are_refused():
    with pytest.raises(ConfigError, match=r"data.max_length: 33 tokens, but the model takes at most 32"):
        make(tiny_model(), tiny_spec(max_length=33))


def test_a_tokenizer_larger_than_the_embedding_is_refused(tmp_path):
    small = BertConfig(
        vocab_size=5, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    BertForSequenceClassification(small).save_pretrained(tmp_path)
    node = {"_target_": "llm_lab.models.text.pretrained", "source": str(tmp_path), "tokenizer": {}}
    with pytest.raises(ConfigError, match=r"20 tokens, but the model embeds only 5"):
        make(node)


def renumbered(path: Path, **numbers: int) -> Path:
    """The twenty tokens of the tiny tokenizer, some of which have changed places, as a saved tokenizer."""
    AutoTokenizer.from_pretrained(tokenizer_folder()).save_pretrained(path)
    file = path / "tokenizer.json"
    told = json.loads(file.read_text())
    vocabulary = told["model"]["vocab"]
    names = {number: token for token, number in vocabulary.items()}
    for token, number in numbers.items():
        vocabulary[names[number]], vocabulary[token] = vocabulary[token], number
    for added in told["added_tokens"]:
        added["id"] = vocabulary[added["content"]]
    file.write_text(json.dumps(told))
    return path


def from_folder(path: Path) -> dict[str, object]:
    return {"_target_": "llm_lab.models.text.pretrained", "source": str(path), "tokenizer": {}}


def test_the_tokenizer_of_another_model_is_refused(folder, tmp_path):
    """Weights alone are measured by their config.json; beside a tokenizer every one of its words counts."""
    special = tiny_spec(tokenizer=renumbered(tmp_path / "special", **{"[PAD]": 3}))
    with pytest.raises(ConfigError, match=r"`\[PAD\]` is number 3 in it, but 0 for the weights of .*encoder"):
        make(from_folder(folder), special)
    whole = Path(shutil.copytree(folder, tmp_path / "whole"))
    AutoTokenizer.from_pretrained(tokenizer_folder()).save_pretrained(whole)
    word = tiny_spec(tokenizer=renumbered(tmp_path / "word", film=10))
    with pytest.raises(ConfigError, match=r"`film` is number 10 in it, but 6 .*model.tokenizer.source"):
        make(from_folder(whole), word)
    with pytest.raises(ConfigError, match=r"`film` is number 10 in it, but 6"):
        make(tiny_model(init_from=str(whole)), word)
    assert make(from_folder(whole)).config.vocab_size == 20
    assert make(tiny_model(), special).config.pad_token_id == 3


def test_where_such_a_tokenizer_was_chosen_is_told_before_training(folder, toy, lab):
    whole = Path(shutil.copytree(folder, toy / "whole"))
    AutoTokenizer.from_pretrained(tokenizer_folder()).save_pretrained(whole)
    (toy / "conf/model/stranger.yaml").write_text(f"""# The weights of one model, the tokenizer of another.
defaults: [hub]
source: file://{whole}
licence: test
tokenizer:
  source: file://{renumbered(toy / "word", film=10)}
""")
    result = lab("+experiment=toy", "model=stranger", "data.max_length=16", "hydra.run.dir=refused")
    assert result.code == 2
    assert "model.tokenizer: `film` is number 10 in it, but 6 for the weights of" in result.err
    assert "model.source in conf/model/stranger.yaml:3" in result.err
    assert "model.tokenizer.source in conf/model/stranger.yaml:6" in result.err
    assert not list((toy / "refused").glob("checkpoints/*"))
    word = f"model.source=file://{whole}"
    result = lab("+experiment=toy", "model=stranger", word, "hydra.run.dir=refused")
    assert f"model.source in {word}" in result.err


@pytest.mark.parametrize(
    ("architecture", "most"), [("roberta", 31), ("modernbert", 32), ("bert", 32)]
)  # RoBERTa numbers its places from behind the padding's
def test_no_row_is_longer_than_the_places_of_a_model(architecture, most):
    node = tiny_model() | {"architecture": architecture}
    make(node, tiny_spec(max_length=most))
    with pytest.raises(ConfigError, match=f"data.max_length: {most + 1} tokens, .* takes at most {most}"):
        make(node, tiny_spec(max_length=most + 1))


def test_an_encoder_that_foresees_sees_nothing_later(tmp_path):
    node = tiny_model(dropout=0.0)
    build(node, expected=PreTrainedModel, key="model", spec=tiny_spec(), head=Head.CAUSAL_LM).save_pretrained(
        tmp_path
    )
    model = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    tokens = torch.randint(5, 20, (1, 8))
    with torch.no_grad():
        before = model(input_ids=tokens).logits
        tokens[0, 6] = 5 + (tokens[0, 6] - 4) % 15
        after = model(input_ids=tokens).logits
    assert torch.equal(before[:, :6], after[:, :6])
    assert not torch.equal(before[:, 6:], after[:, 6:])
