"""The command line's words."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_lab.config.completion import prepare
from llm_lab.config.words import VERBS, parse, verbs_help
from llm_lab.errors import ConfigError


@pytest.mark.parametrize(
    ("line", "verb", "rest"),
    [
        ("", "list", {}),
        ("+experiment=x a.b=1", "train", {"overrides": ("+experiment=x", "a.b=1")}),
        ("train ~peft", "train", {"overrides": ("~peft",)}),
        ("list model", "list", {"positionals": ("model",)}),
        ("check --deep +experiment=x", "check", {"flags": {"deep": True}, "overrides": ("+experiment=x",)}),
        ("predict runs/a --input=- --column text", "predict",
         {"positionals": ("runs/a",), "flags": {"input": "-", "column": "text"}}),
        ("evaluate runs/a data.limit=3", "evaluate", {"positionals": ("runs/a",), "overrides": ("data.limit=3",)}),
        ("schema --output out", "schema", {"flags": {"output": "out"}}),
        ("-m a=1,2 b=3", "train", {"multirun": True, "hydra_flags": ("--multirun",), "overrides": ("a=1,2", "b=3")}),
        ("a=1,2 --multirun b=3", "train", {"multirun": True, "overrides": ("a=1,2", "b=3")}),
        ("a=1 --cfg job --resolve -p model", "train",
         {"hydra_flags": ("--resolve", "--cfg=job", "--package=model"), "informs": True, "overrides": ("a=1",)}),
        ("--info defaults", "train", {"hydra_flags": ("--info=defaults",), "informs": True}),
        ("--config-name other --config-dir more a=1", "train", {"config_name": "other", "config_dir": "more"}),
        ("--help", "train", {"help": True, "hydra_flags": ("--help",)}),
        ("predict -h", "predict", {"help": True}),
        ("-sc query=bash", "train", {"informs": True, "overrides": ("query=bash",)}),
    ],
)  # fmt: skip
def test_words(line: str, verb: str, rest: dict[str, object]) -> None:
    words = parse(line.split())
    assert words.verb == verb
    assert {key: getattr(words, key) for key in rest} == rest


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("trian", "`trian` is not a verb; did you mean `train`?"),
        ("+a=1 --multirn", "`--multirn` is not a flag; did you mean `--multirun`?"),
        ("check --dep", "`--dep` is not a flag; did you mean `--deep`?"),
        (
            "train model minilm",
            "`model` is neither an override nor a flag of `train`; an override looks like `key=value`",
        ),
        ("a=1 resum", "`resum` is neither an override nor a flag of `train`; did you mean `resume`?"),
        ("predict", "`predict` needs a RUN: python -m llm_lab predict RUN"),
        ("predict run --input", "`--input` needs a FILE: the file to read; - is standard input"),
        ("list model a=1", "`list` takes no overrides, but `a=1` is one"),
        ("--cfg", "expected one argument"),
        ("--resolve a=1", "`--resolve` goes with `--cfg` or `--help`"),
        ("--cfg job -m", "only one of"),
        ("--experimental-rerun x.pickle", "reads a pickle and is refused"),
    ],
)
def test_wrong_words(line: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(line.split())
    assert message in str(caught.value)


def test_a_run_directory_may_hold_an_equals_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lr=1").mkdir()
    monkeypatch.chdir(tmp_path)
    assert parse(["evaluate", "lr=1", "seed=2"]).positionals == ("lr=1",)


def test_the_help_names_every_verb_and_flag() -> None:
    text = verbs_help()
    for name, verb in VERBS.items():
        assert f"  {name}" in text
        assert all(flag in text for flag in verb.flags)


@pytest.mark.parametrize(
    ("line", "for_hydra", "own"),
    [
        ("llm_lab check +exp", "llm_lab +exp", []),
        ("llm_lab check --deep +experiment=s", "llm_lab +experiment=s", []),
        ("llm_lab --multirun optimizer.l", "llm_lab --multirun optimizer.l", []),
        ("python -m llm_lab show model=", "llm_lab model=", []),
        ("llm_lab re", "llm_lab re", ["resume", "reproduce", "results"]),
        ("llm_lab ", "llm_lab ", list(VERBS)),
        ("llm_lab check ", "llm_lab ", []),
        ("llm_lab check --d", "llm_lab ", ["--deep"]),
    ],
)
def test_completion_takes_the_verb_out_of_the_line(line: str, for_hydra: str, own: list[str]) -> None:
    environment = {"COMP_LINE": line}
    assert prepare(environment) == own
    assert environment["COMP_LINE"] == for_hydra
