"""The command line as a user meets it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, Result, lab_process

HEAVY = (
    "torch",
    "transformers",
    "pytorch_lightning",
    "datasets",
    "pyarrow",
    "pandas",
    "numpy",
    "torchmetrics",
    "ray",
)
CHECK = (
    "import sys; from llm_lab.__main__ import main\n"
    "code = main(sys.argv[1:])\n"
    f"print('heavy:', [name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    "sys.exit(code)"
)


@pytest.mark.parametrize(
    "line",
    ["list", "list model", "--help", "check --help", "check +experiment=sentiment", "show +experiment=sentiment",
     "check optimizer.lrr=1", "check -m seed=1,2", "schema"],
)  # fmt: skip
def test_looking_at_configs_imports_nothing_heavy(tmp_path: Path, line: str) -> None:
    import subprocess

    done = subprocess.run(
        [sys.executable, "-c", CHECK, *line.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "heavy: []" in done.stderr, done.stderr
    assert done.returncode == (2 if "lrr" in line else 0), done.stderr


def test_show_tells_where_each_value_comes_from(tree: Path, lab: Callable[..., Result]) -> None:
    result = lab("show", "+experiment=sentiment", "seed=7")
    assert (result.code, result.err) == (0, "")
    lines = {line.split("#")[0].strip(): line.partition("# ")[2] for line in result.out.splitlines()}
    assert lines["seed: 7"] == "seed=7"
    assert lines["width: 384"] == f"{tree}/model/minilm.yaml:3"
    assert lines["lr: 0.5"] == f"{tree}/experiment/sentiment.yaml:6"
    assert lines["tokenizer: ${model.tokenizer}"] == f"{tree}/data/table.yaml:3"
    columns = {line.index("# ") for line in result.out.splitlines() if "# " in line}
    assert len(columns) == 1
    assert "hydra" not in result.out


def test_show_of_a_part_resolved(
    tree: Path, lab: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_PLACE", "verysecret")
    result = lab("show", "--package", "data", "--resolve", "data.source='${oc.env:SECRET_PLACE}'")
    assert result.code == 0
    assert "  words: 5  " in result.out
    assert "verysecret" not in result.out
    assert "there is no `dat`" in lab("show", "-p", "dat").err


def test_show_of_a_wrong_config_shows_it_and_says_what_is_wrong(
    tree: Path, lab: Callable[..., Result]
) -> None:
    result = lab("show", "optimizer.lrr=1")
    assert result.code == 2
    assert "width: 8" in result.out
    assert "did you mean `optimizer.lr`?" in result.err


def test_check_of_a_right_config(tree: Path, lab: Callable[..., Result]) -> None:
    result = lab("check", "+experiment=sentiment")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("nothing wrong with `sentiment`; its hash is ")
    assert "(2 jobs)" in lab("check", "-m", "seed=1,2").out


def test_hydra_s_own_ways(tree: Path, lab: Callable[..., Result]) -> None:
    result = lab("--cfg", "job", "+experiment=sentiment", "optimizer.momentum=0.5", "-p", "optimizer")
    assert result.code == 0, result.err
    assert (
        result.out == "# @package optimizer\n_target_: tests.config.light.toys.sgd\nlr: 0.5\nmomentum: 0.5\n"
    )
    assert "sentiment" in lab("--help").out
    assert "Config search path" in lab("--info", "searchpath").out
    assert "width: 384" in lab("--help", "model=minilm").out
    assert "smoke" in lab("--hydra-help").out + lab("--help").out


@pytest.mark.parametrize(
    ("line", "found"),
    [("llm_lab check model=mi", "model=minilm"), ("llm_lab +exper", "+experiment="), ("llm_lab re", "resume"),
     ("llm_lab show optimizer.", "optimizer.lr="), ("python -m llm_lab train +debug=s", "+debug=smoke")],
)  # fmt: skip
def test_tab_completion(
    tree: Path, lab: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, line: str, found: str
) -> None:
    monkeypatch.setenv("COMP_LINE", line)
    assert found in lab("-sc", "query=bash").out.split()


def test_unknown_words_end_with_one_line(tmp_path: Path) -> None:
    result = lab_process("trian", cwd=tmp_path)
    assert (result.code, result.out, result.err) == (
        2,
        "",
        "error: `trian` is not a verb; did you mean `train`?\n",
    )


def test_a_closed_pipe_is_no_failure(tmp_path: Path) -> None:
    import subprocess

    command = f"{sys.executable} -m llm_lab list | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.startswith("experiments")


def test_the_shipped_experiments_are_right(
    lab: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    names = sorted(path.stem for path in (ROOT / "conf/experiment").glob("*.yaml"))
    assert "sentiment" in names
    result = lab("check", "-m", f"+experiment={','.join(names)}")
    assert result.code == 0, result.err


@pytest.mark.skipif(
    (os.cpu_count() or 1) < 2 or os.getloadavg()[0] > 0.7, reason="times mean nothing on a busy machine"
)
@pytest.mark.parametrize("line", ["list", "--help", "check +experiment=sentiment"])
def test_a_start_takes_less_than_half_a_second(line: str) -> None:
    import time

    times = []
    for _ in range(4):
        begun = time.perf_counter()
        assert lab_process(*line.split(), cwd=ROOT).code == 0
        times.append(time.perf_counter() - begun)
    assert min(times) < 0.5


def test_among_several_ranks_the_first_alone_answers(
    tree: Path, lab: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert lab("list") == Result(code=0, out="", err="")
    monkeypatch.setenv("RANK", "0")
    assert lab("list").out
    monkeypatch.delenv("WORLD_SIZE")
    monkeypatch.setenv("RANK", "7")  # makes no sense, but nothing here asks
    assert lab("list").out
