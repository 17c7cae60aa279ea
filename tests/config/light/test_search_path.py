"""Ours, the user's own `conf/`, and packs."""

# ruff: noqa: ISC004 - whole sentences and command lines, as a user reads and types them

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from llm_lab.config.catalogue import catalogue
from llm_lab.config.check import faults_of
from llm_lab.config.compose import compose
from llm_lab.config.search_path import conf_root, layers
from tests.config.light.conftest import write
from tests.conftest import Result

OWN = {"model/own.yaml": "# My own. With a tail.\n_target_: TOYS.Model\nwidth: 5\ntokenizer: null\n"}
PACK = {
    "experiment/packed.yaml": "# @package _global_\n# Packed.\ndefaults: [override /model: own]\nseed: 3\n"
}


def test_the_layers_of_a_working_directory(tree: Path) -> None:
    write(Path("conf"), OWN)
    write(Path("experiments/one"), PACK)
    Path("experiments/.hidden").mkdir()
    Path("experiments/file.yaml").touch()
    assert conf_root() == tree
    assert [(layer.scope, layer.folder.name) for layer in layers()] == [
        ("ours", "ours"), ("user", "conf"), ("pack", "one"),
    ]  # fmt: skip
    composed = compose(["+experiment=packed"])
    assert faults_of(composed) == []
    assert composed.config.model.width == 5
    assert composed.config.name == "packed"
    assert composed.origins["seed"].scope == "pack"
    assert composed.origins["model.width"].scope == "user"
    assert composed.origins["model.width"].file == Path.cwd() / "conf/model/own.yaml"


def test_our_own_folder_is_not_a_user_s(tree: Path, monkeypatch: object) -> None:
    write(tree.parent / "checkout" / "conf", OWN)
    root = tree.parent / "checkout" / "conf"
    assert [layer.scope for layer in layers(root=root, cwd=root.parent)] == ["ours"]


def test_one_name_in_two_places_is_a_fault_that_names_both(tree: Path, lab: Callable[..., Result]) -> None:
    write(Path("experiments/one"), PACK)
    write(Path("experiments/two"), PACK)
    write(Path("conf"), {"model/minilm.yaml": "_target_: TOYS.Model\nwidth: 1\n"})
    lines = [str(fault) for fault in compose([]).faults]
    assert lines == [
        f"model/minilm: two files have this name: {tree}/model/minilm.yaml and conf/model/minilm.yaml "
        "(conf/model/minilm.yaml); rename one of them",
        "experiment/packed: two files have this name: experiments/one/experiment/packed.yaml and "
        "experiments/two/experiment/packed.yaml (experiments/two/experiment/packed.yaml); rename one of them",
    ]
    assert lab("check").code == 2
    listed = lab("list")
    assert listed.code == 0
    assert "experiments/two/experiment/packed.yaml" in listed.err


def test_the_catalogue(tree: Path, lab: Callable[..., Result]) -> None:
    write(Path("experiments/one"), PACK | {"data/torn.yaml": "a: [\n"})
    groups = catalogue(layers())
    assert list(groups)[:3] == ["experiment", "callbacks", "data"]
    sentiment = next(entry for entry in groups["experiment"] if entry.name == "sentiment")
    assert (sentiment.summary, sentiment.figure, sentiment.minutes) == (
        "Feelings", "test/accuracy 0.87 ± 0.015", "4 min",
    )  # fmt: skip
    out = lab("list").out
    assert "experiments (+experiment=NAME)\n  packed " in out
    assert "  sentiment  test/accuracy 0.87 ± 0.015  4 min  Feelings\n" in out
    assert "Packed [one]" in out
    assert "model/text (model/text=NAME)\n  tiny  For texts" in out
    assert "debug (+debug=NAME)\n  smoke  Quick" in out
    assert "torn   (not valid YAML, line 2)" in out
    assert lab().out == out
    assert lab("list", "model").out == (
        "model (model=NAME)\n  minilm  A middling model\n  small   A small model\n\n"
        "model/text (model/text=NAME)\n  tiny  For texts\n"
    )
    assert "there is no group `modle`; did you mean `model`?" in lab("list", "modle").err
