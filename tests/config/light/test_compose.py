"""Our composition is Hydra's, value for value, and knows where each value comes from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from llm_lab.config import origins
from llm_lab.config.compose import Composed, compose
from tests.config.light.conftest import write

WORDS = [
    "model=minilm", "model=text/tiny", "+experiment=sentiment", "+debug=smoke", "peft=lora", "~peft", "optimizer=fast",
    "seed=7", "name=mine", "optimizer.lr=0.5", "++optimizer.momentum=0.1", "+data.columns={text: body, label: y}",
    "data.tokenizer=null", "~callbacks.stop", "callbacks.stop.patience=null", "++task.metrics.f1.average=micro",
    "scheduler.warmup='${seed}'", "hydra.run.dir=elsewhere", "hydra.job.name=me", "+hydra.job.env_set.A=b",
    "trainer.max_steps=1_000", "model.width=3", "+note='a, b'", "hydra/launcher=basic", "~trainer.max_epochs=1",
]  # fmt: skip
GOOD = [word for word in WORDS if word not in ("callbacks.stop.patience=null", "+note='a, b'")]


def by_hydra(root: Path, words: list[str]) -> dict[str, Any]:
    with hydra.initialize_config_dir(str(root), version_base="1.3"):
        return plain(hydra.compose("config", list(words), return_hydra_config=True))


def plain(config: Any) -> dict[str, Any]:
    """Everything but the job's name, which is that of the running program."""
    values: Any = OmegaConf.to_container(config, resolve=False)
    values["name"] = config.name
    values["hydra"]["job"].pop("name")
    return values


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.lists(st.sampled_from(GOOD), unique_by=lambda word: word.lstrip("+~").split("=")[0], max_size=6)
)
def test_good_words_compose_to_what_hydra_composes(tree: Path, words: list[str]) -> None:
    ours = compose(words)
    try:
        theirs = by_hydra(tree, words)
    except Exception:  # noqa: BLE001 - words that do not go together: we must refuse them too
        assert ours.faults, words
        return
    assert not ours.faults, [str(fault) for fault in ours.faults]
    assert plain(ours.config) == theirs
    assert ours.overrides == words


def test_a_legal_key_that_no_file_mentions_is_set_and_hydra_gets_it_with_plusses(
    tree: Path, composed: Callable[..., Composed]
) -> None:
    words = [
        "optimizer.momentum=0.5",
        "data.columns.text=body",
        "+experiment=sentiment",
        "expected.source=me",
    ]
    ours = composed(*words)
    assert not ours.faults
    assert ours.config.optimizer.momentum == 0.5
    assert ours.config.data.columns == {"text": "body"}
    assert ours.overrides == ["++optimizer.momentum=0.5", "++data.columns.text=body", "+experiment=sentiment",
                              "++expected.source=me"]  # fmt: skip
    assert plain(ours.config) == by_hydra(tree, ours.overrides)


def test_the_rest_is_checked_as_if_the_proposal_had_been_taken(composed: Callable[..., Composed]) -> None:
    assert composed("model=minilmm").config.model.width == 384
    assert composed("experiment=sentimant").config.optimizer.lr == 0.5


def test_every_value_knows_the_file_and_line_or_the_word_that_set_it(
    tree: Path, composed: Callable[..., Composed]
) -> None:
    found = composed(
        "+experiment=sentiment", "seed=7", "optimizer.momentum=0.5", "+data.columns={text: body}"
    ).origins
    where = {key: str(origins.find(found, key)) for key in (
        "name", "seed", "model.width", "optimizer._target_", "optimizer.lr", "optimizer.momentum", "expected.value",
        "data.columns.text", "task.metrics.accuracy._target_",
    )}  # fmt: skip
    assert where == {
        "name": f"{tree}/config.yaml:12",
        "seed": "seed=7",
        "model.width": f"{tree}/model/minilm.yaml:3",
        "optimizer._target_": f"{tree}/optimizer/sgd.yaml:2",
        "optimizer.lr": f"{tree}/experiment/sentiment.yaml:6",
        "optimizer.momentum": "optimizer.momentum=0.5",
        "expected.value": f"{tree}/experiment/sentiment.yaml:7",
        "data.columns.text": "+data.columns={text: body}",
        "task.metrics.accuracy._target_": f"{tree}/task/label.yaml:5",
    }
    assert found["model.width"].scope == "ours"
    assert origins.find(found, "hydra.job_logging.version").scope == "hydra"
    assert origins.find(found, "hydra.mode") is origins.HYDRA


def test_packages_and_nested_defaults_keep_their_origins(
    tree: Path, composed: Callable[..., Composed]
) -> None:
    files = {
        "model/big.yaml": "# Big.\ndefaults: [small, _self_, /peft@tokenizer: lora]\nwidth: 99\n",
        "experiment/deep.yaml": "# @package _global_\ndefaults: [sentiment, _self_, override /model: big]\nseed: 1\n",
    }
    ours = composed("+experiment=deep", files=files)
    assert not ours.faults
    assert str(ours.origins["model.width"]) == f"{tree}/model/big.yaml:3"
    assert str(ours.origins["model._target_"]) == f"{tree}/model/small.yaml:2"
    assert str(ours.origins["model.tokenizer.num_classes"]) == f"{tree}/peft/lora.yaml:3"
    assert str(ours.origins["optimizer.lr"]) == f"{tree}/experiment/sentiment.yaml:6"
    assert str(ours.origins["seed"]) == f"{tree}/experiment/deep.yaml:3"


@pytest.mark.parametrize("beside", [True, False])
def test_relative_files_are_meant_from_the_yaml_file_then_from_its_pack(
    tmp_path: Path, tree: Path, *, beside: bool
) -> None:
    pack = tmp_path / "work" / "experiments" / "mine"
    files = {
        "data/rows.yaml": "_target_: TOYS.Data\nsource: file://rows.zip!/a.csv#sha256=1\n",
        "rows.zip": "",
    }
    write(pack, files | ({"data/rows.zip": ""} if beside else {}))
    ours = compose(["data=rows"])
    assert ours.config.data.source == f"file://{pack}/{'data/' if beside else ''}rows.zip!/a.csv#sha256=1"
    assert by_hydra(tree, ["data=rows"])["data"]["source"] == ours.config.data.source
    assert ours.origins["data.source"].scope == "pack"


def test_a_relative_file_in_a_word_is_meant_from_the_working_directory(tree: Path) -> None:
    Path("my rows.csv").touch()
    ours = compose(["data.source='file://my rows.csv'"])
    assert ours.config.data.source == f"file://{Path.cwd()}/my rows.csv"
    assert by_hydra(tree, ours.overrides)["data"]["source"] == ours.config.data.source
    assert str(ours.origins["data.source"]) == "data.source='file://my rows.csv'"


def test_a_run_is_called_after_its_experiment(composed: Callable[..., Composed]) -> None:
    assert composed().config.name == "adhoc"
    assert composed("+experiment=sentiment", "+debug=smoke").config.name == "sentiment"
    assert composed("+experiment=sentiment", "name=mine").config.name == "mine"


def test_other_roots_and_folders(tmp_path: Path, tree: Path) -> None:
    write(tree, {"other.yaml": "defaults: [config, _self_]\nseed: 5\n"})
    assert compose([], config_name="other").config.seed == 5
    write(tmp_path / "more", {"model/own.yaml": "_target_: TOYS.Model\nwidth: 77\n"})
    assert compose(["model=own"], config_dir=str(tmp_path / "more")).config.model.width == 77
    assert compose(["model=own", f"hydra.searchpath=[file://{tmp_path}/more]"]).config.model.width == 77
    assert "there is no folder" in str(compose([], config_dir="nowhere").faults[0])
    assert "nothing" in str(compose([], config_name="nothing").faults[0])
