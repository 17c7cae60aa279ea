"""The light check: one test per kind of fault, in the words that a user reads."""

# ruff: noqa: E501, ISC004 - whole sentences and command lines, as a user reads and types them

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from llm_lab.config.fault import Fault, FaultsError
from llm_lab.config.fault import report as told
from tests.config.light.conftest import TOYS
from tests.conftest import Result

Faults = Callable[..., list[Fault]]


def only(faults: list[Fault]) -> str:
    """The one fault there is, as one line."""
    assert len(faults) == 1, [str(fault) for fault in faults]
    return str(faults[0])


def test_a_right_config_has_no_faults(faults: Faults) -> None:
    assert faults() == []
    assert faults("+experiment=sentiment", "+debug=smoke", "peft=lora", "model=text/tiny", "seed=7") == []


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("optimizer.lrr=1", "optimizer.lrr: unknown key (optimizer.lrr=1); did you mean `optimizer.lr`?"),
        ("optimzer.lr=1", "optimzer.lr: unknown key (optimzer.lr=1); did you mean `optimizer.lr`?"),
        ("+optimizer.lrr=1", "optimizer.lrr: unknown key (+optimizer.lrr=1); did you mean `optimizer.lr`?"),
        ("batch_size=8", "batch_size: unknown key (batch_size=8); did you mean `data.batch_size`?"),
        ("model.lr=1", "model.lr: unknown key (model.lr=1); did you mean `optimizer.lr`?"),
        ("seeed=1", "seeed: unknown key (seeed=1); did you mean `seed`?"),
        ("expected.valu=1", "expected.valu: unknown key (expected.valu=1); did you mean `expected.value`?"),
        ("paths.rums=x", "paths.rums: unknown key (paths.rums=x); did you mean `paths.runs`?"),
        ("callbacks.sotp.patience=1", "callbacks.sotp.patience: unknown key (callbacks.sotp.patience=1); "
         "did you mean `callbacks.stop.patience`?"),
    ],
)  # fmt: skip
def test_unknown_key(faults: Faults, word: str, line: str) -> None:
    assert only(faults(word)) == line


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("model=minilmm", "model: `minilmm` is not a choice of `model` (model=minilmm); did you mean `model=minilm`?"),
        ("+experiment=sentimant", "experiment: `sentimant` is not a choice of `experiment` (+experiment=sentimant); "
         "did you mean `+experiment=sentiment`?"),
        ("experiment=sentimant", "experiment: `sentimant` is not a choice of `experiment` (experiment=sentimant); "
         "did you mean `+experiment=sentiment`?"),
        ("experiment=sentiment", "experiment: `experiment` is not chosen by default, so there is nothing to override "
         "(experiment=sentiment); did you mean `+experiment=sentiment`?"),
        ("modle=minilm", "modle: unknown key (modle=minilm); did you mean `model=minilm`?"),
        ("modl/text=tiny", "modl/text: there is no group `modl/text` (modl/text=tiny); did you mean `model/text=tiny`?"),
        ("+model=minilm", "model: `model` is chosen already (+model=minilm); did you mean `model=minilm`?"),
        ("~debug", "debug: `debug` is not among the chosen groups, so it cannot be taken away (~debug)"),
        ("hydra/launcher=joblibb", "hydra/launcher: `joblibb` is not a choice of `hydra/launcher` "
         "(hydra/launcher=joblibb); did you mean `hydra/launcher=joblib`?"),
    ],
)  # fmt: skip
def test_unknown_choice_or_group(faults: Faults, word: str, line: str) -> None:
    assert only(faults(word)) == line


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("model.width=wide", "model.width: must be int, not the text `wide` (model.width=wide)"),
        ("model.width=8.0", "model.width: must be int, not 8.0 (model.width=8.0); write 8"),
        ("model.width=true", "model.width: must be int, not true (model.width=true)"),
        ("optimizer.lr=null", "optimizer.lr: must be float, not null (optimizer.lr=null)"),
        ("optimizer.nesterov=1", "optimizer.nesterov: must be true or false, not 1 (optimizer.nesterov=1)"),
        ("data.source=7", "data.source: must be a text or null, not 7 (data.source=7); quote it: '7'"),
        ("model.pooling=maen", "model.pooling: must be one of cls, mean, not the text `maen` (model.pooling=maen); "
         "did you mean `mean`?"),
        ("model.frozen=[0,x]", "model.frozen.1: must be int, not the text `x` (model.frozen=[0,x])"),
        ("data.columns={text:1}", "data.columns.text: must be a text, not 1 (data.columns={text:1})"),
        ("task.metrics=7", "task.metrics: must be a mapping or null, not 7 (task.metrics=7)"),
        ("callbacks.stop.order=first", "callbacks.stop.order: must be int, not the text `first` "
         "(callbacks.stop.order=first)"),
        ("optimizer._target_=3", "optimizer._target_: must be the dotted name of a class or a function, not 3 "
         "(optimizer._target_=3)"),
    ],
)  # fmt: skip
def test_wrong_type(faults: Faults, word: str, line: str) -> None:
    assert only(faults(word)) == line


def test_wrong_type_is_told_where_it_was_written(faults: Faults, tree: Path) -> None:
    files = {"model/minilm.yaml": "_target_: TOYS.Model\n\nwidth: wide\ntokenizer: null\n"}
    line = only(faults("+experiment=sentiment", files=files))
    assert line == f"model.width: must be int, not the text `wide` ({tree}/model/minilm.yaml:3)"


def test_a_value_that_repeats_a_wrong_one_is_not_told_again(faults: Faults) -> None:
    assert only(faults("seed=abc")) == "seed: must be int, not the text `abc` (seed=abc)"


def test_missing_value(faults: Faults, tree: Path) -> None:
    line = only(faults("model.width=???"))
    assert line == "model.width: missing value (model.width=???); set it: `model.width=...`"
    line = only(faults(files={"model/small.yaml": "# Small.\n_target_: TOYS.Model\ntokenizer: null\n"}))
    assert line == (
        f"model.width: missing value, which {TOYS}.Model requires ({tree}/model/small.yaml:2); "
        "set it: `+model.width=...`"
    )


def test_missing_target(faults: Faults) -> None:
    assert "model: nothing says what to build: `_target_` is missing" in only(faults("~model._target_"))


def test_what_the_run_gives_cannot_be_set(faults: Faults) -> None:
    expected = (
        "optimizer.model: `model` is given by the run itself, so a config cannot set it (+optimizer.model=1)"
    )
    assert only(faults("+optimizer.model=1")) == expected


@pytest.mark.parametrize("name", ["_partial_", "_args_", "_convert_"])
def test_how_to_build_is_not_for_yaml(faults: Faults, name: str) -> None:
    assert only(faults(f"+optimizer.{name}=true")).startswith(f"optimizer.{name}: is not allowed")


def test_broken_interpolation(faults: Faults) -> None:
    line = only(faults("data.seed='${sed}'"))
    assert line.startswith("data.seed: broken interpolation ${sed}: ")
    assert line.endswith("(data.seed='${sed}'); did you mean `${seed}`?")
    assert "NOWHERE" in only(faults("data.source='${oc.env:NOWHERE}'"))
    assert "data.source" in only(faults("data.source='${nothing:1}'"))


def test_circular_interpolation(faults: Faults) -> None:
    found = faults("data.source='${model.source}'", "model.source='${data.source}'")
    assert [fault.key for fault in found] == ["data.source", "model.source"]
    assert found[0].message == "circular interpolation: data.source -> model.source -> data.source"
    assert "circular interpolation: model.source -> model.source" in str(
        faults("model.source='${model.source}'")[0]
    )


def test_not_an_override(faults: Faults) -> None:
    line = only(faults("model.width=[1"))
    assert line.startswith("model.width: not an override: ")
    assert "(model.width=[1)" in line


def test_several_values_without_multirun(faults: Faults) -> None:
    assert only(faults("optimizer.lr=1e-3,1e-4")) == (
        "optimizer.lr: several values, but only one run (optimizer.lr=1e-3,1e-4); add --multirun to sweep over it, "
        "or write optimizer.lr=[1e-3,1e-4] for a list, optimizer.lr='\"1e-3,1e-4\"' for a text"
    )


def test_deleting_and_adding(faults: Faults) -> None:
    assert only(faults("~optimizer.momentum")) == (
        "optimizer.momentum: there is no such value to delete (~optimizer.momentum)"
    )
    assert only(faults("+optimizer.lr=3")) == (
        "optimizer.lr: is set already (+optimizer.lr=3); did you mean `optimizer.lr=3`?"
    )


def test_broken_yaml_names_the_line(faults: Faults, tree: Path) -> None:
    files = {"experiment/torn.yaml": "# @package _global_\nseed: 1\nmodel: {width: 3\n"}
    line = only(faults("+experiment=torn", files=files))
    assert line.startswith("experiment/torn: not valid YAML: ")
    assert f"({tree}/experiment/torn.yaml:4)" in line
    twice = only(
        faults("+experiment=torn", files={"experiment/torn.yaml": "# @package _global_\nseed: 1\nseed: 2\n"})
    )
    assert "duplicate key `seed`" in twice
    assert "torn.yaml:3)" in twice
    assert "must hold a mapping" in only(faults("+experiment=torn", files={"experiment/torn.yaml": "- a\n"}))


def test_a_defaults_entry_that_names_nothing(faults: Faults, tree: Path) -> None:
    text = (
        "# @package _global_\n# Wrong.\ndefaults:\n  - override /model: minilmm\n  - override /peft: lora\n"
    )
    line = only(faults("+experiment=wrong", files={"experiment/wrong.yaml": text}))
    assert line == (
        "model: `minilmm` is not a choice of `model` (a defaults entry of experiment/wrong) "
        f"({tree}/experiment/wrong.yaml:4); did you mean `minilm`?"
    )
    text = "# @package _global_\ndefaults:\n  - override /modell: minilm\n"
    line = only(faults("+experiment=wrong", files={"experiment/wrong.yaml": text}))
    assert "there is no group `modell`" in line
    assert "wrong.yaml:3)" in line
    text = "# @package _global_\ndefaults:\n  - override /debug: smoke\n"
    line = only(faults("+experiment=wrong", files={"experiment/wrong.yaml": text}))
    assert "`experiment/wrong` overrides the group `debug`, which is not in the defaults list" in line
    assert "wrong.yaml:3)" in line


def test_warm_up_longer_than_training(faults: Faults) -> None:
    assert only(faults("scheduler.warmup=100")) == (
        "scheduler.warmup: the warm-up of 100 steps is longer than the training: trainer.max_steps is 100 "
        "(scheduler.warmup=100); a value below 1 is a fraction of the run: 0.1 warms up for a tenth of it"
    )
    assert faults("scheduler.warmup=99") == []
    assert faults("scheduler.warmup=100", "trainer.max_steps=-1") == []
    assert "negative" in only(faults("scheduler.warmup=-1"))


def test_monitor_that_the_task_does_not_log(faults: Faults) -> None:
    found = faults("task.monitor=val/acuracy")
    assert only(found) == (
        "task.monitor: the task does not log `val/acuracy` (task.monitor=val/acuracy); did you mean `val/accuracy`?"
    )
    assert "callbacks.stop.monitor: the task does not log `loss`" in only(
        faults("callbacks.stop.monitor=loss")
    )
    assert faults("task.monitor=train/loss") == []


def test_other_rules(faults: Faults) -> None:
    assert "there is no `val/accuracy`" in only(faults("trainer.limit_val_batches=0"))
    assert "nothing ends this training" in only(faults("trainer.max_steps=-1", "trainer.max_epochs=-1"))
    assert "data.batch_size: must be 1 or more, but is 0" in only(faults("data.batch_size=0"))
    assert "model.dropout: must be between 0 and 1, but is 1.5" in only(faults("model.dropout=1.5"))


def test_a_file_that_is_not_there(faults: Faults, tree: Path) -> None:
    files = {"data/other.yaml": "_target_: TOYS.Data\nsource: file://rows.csv#sha256=00\n"}
    line = only(faults("data=other", files=files))
    assert line == (
        f"data.source: there is no such file: neither {tree}/data/rows.csv nor {tree}/rows.csv "
        f"({tree}/data/other.yaml:2)"
    )
    assert "there is no such file: rows.csv" in only(faults("data.source=file://rows.csv"))


def test_all_faults_are_told_at_once(faults: Faults) -> None:
    files = {
        "experiment/wrong.yaml": "# @package _global_\ndefaults:\n  - override /peft: loar\nmodel: {widht: 3}\n"
    }
    found = faults(
        "+experiment=wrong", "optimizer.lrr=1", "model=minilmm", "data.seed='${sed}'", "scheduler.warmup=1000",
        "task.monitor=val/f1", "a=[", "model.width=wide", "hydra.run.dirr=x", files=files,
    )  # fmt: skip
    keys = {fault.key for fault in found}
    assert keys == {
        "peft", "model.widht", "optimizer.lrr", "model", "data.seed", "scheduler.warmup", "task.monitor", "a",
        "model.width", "hydra.run.dirr",
    }  # fmt: skip
    text = told(found)
    assert text.startswith("10 faults in the configuration:\n")
    assert "  optimizer.lrr: unknown key\n      in optimizer.lrr=1 - did you mean `optimizer.lr`?\n" in text


def test_check_raises_all_faults_and_the_command_ends_with_2(
    tree: Path, lab: Callable[..., Result], composed: Callable[..., object]
) -> None:
    from llm_lab.config.check import check

    with pytest.raises(FaultsError, match=r"did you mean `optimizer\.lr`"):
        check(composed("optimizer.lrr=1"))  # type: ignore[arg-type]
    for words in (["check"], ["train"], ["--cfg", "job"], ["--help"]):
        result = lab(*words, "optimizer.lrr=1", "model=minilmm")
        assert result.code == 2
        assert "2 faults in the configuration" in result.err
        assert "did you mean `model=minilm`?" in result.err
        assert "Traceback" not in result.err + result.out
