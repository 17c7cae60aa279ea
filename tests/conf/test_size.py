"""Settings of a larger machine, over those of an experiment."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from llm_lab.config import build
from llm_lab.config.check import check
from llm_lab.config.compose import compose
from llm_lab.models.heads import Head
from tests.conf.test_shape import EXPERIMENTS, name
from tests.conftest import ROOT
from tests.models.tiny import tiny_spec

BASE = {
    "full_modernbert": ("pretrain_mlm", 768, 22),
    "full_bert": ("pretrain_mlm_nsp", 768, 12),
    "full_electra": ("pretrain_electra", 768, 12),
    "full_gpt2": ("pretrain_clm", 768, 12),
    "full_t5": ("pretrain_t5", 768, 12),
}


@pytest.mark.parametrize("path", EXPERIMENTS, ids=name)
def test_every_experiment_can_be_had_in_full(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    config = check(compose([f"+experiment={path.stem}", "+size=full"])).config
    assert config.expected is None
    assert config.data.limit is None
    assert (config.trainer.precision, config.trainer.max_steps) == ("bf16-mixed", -1)


def test_no_size_is_forgotten() -> None:
    assert {path.stem for path in (ROOT / "conf/size").glob("*.yaml")} == {"full", *BASE}


@pytest.mark.parametrize("size", BASE)
def test_a_model_has_base_size(size: str) -> None:
    experiment, width, layers = BASE[size]
    config = check(compose([f"+experiment={experiment}", f"+size={size}"])).config
    with torch.device("meta"):
        model = build(config.model, expected=nn.Module, key="model", spec=tiny_spec(), head=Head.ENCODER)
    assert (model.config.hidden_size, model.config.num_hidden_layers) == (width, layers)
    assert sum(one.numel() for one in model.parameters()) > 8e7
    assert config.data.max_length >= 512
