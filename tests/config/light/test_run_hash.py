"""A run is called after what it computes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_lab.config.compose import Composed, compose
from llm_lab.config.fault import FaultsError
from llm_lab.config.run_hash import run_hash, run_hash_of, sweep_hash
from tests.config.light.conftest import write


def test_it_is_twelve_hex_digits_and_the_same_each_time(tree: Path) -> None:
    assert re.fullmatch("[0-9a-f]{12}", run_hash_of([]))
    assert run_hash_of(["seed=1", "model=minilm"]) == run_hash_of(["model=minilm", "seed=1"])
    assert run_hash_of(["optimizer.lr=0.001"]) == run_hash_of([])


@pytest.mark.parametrize(
    "word", ["seed=1", "model=minilm", "optimizer.lr=1", "trainer.max_steps=3", "+debug=smoke"]
)
def test_what_is_computed_counts(tree: Path, word: str) -> None:
    assert run_hash_of([word]) != run_hash_of([])


@pytest.mark.parametrize(
    "word", ["paths.runs=x", "hydra.run.dir=x", "++expected.value=1", "+logger={a: {b: 1}}", "++trainer.devices=2",
             "++trainer.accelerator=gpu", "+ledger={currency: EUR}", "+callbacks.progress={a: 1}"],
)  # fmt: skip
def test_where_and_on_what_it_runs_does_not(tree: Path, word: str) -> None:
    assert run_hash_of([word]) == run_hash_of([])


def test_environment_values_count_by_their_text(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["data.source='${oc.env:PLACE}/x'", "model.source='${data.source}'"]
    monkeypatch.setenv("PLACE", "here")
    here = run_hash_of(words)
    monkeypatch.setenv("PLACE", "there")
    assert run_hash_of(words) == here
    assert run_hash_of(["data.source=here/x", "model.source=here/x"]) != here


def test_files_of_a_pack_count_wherever_the_pack_lies(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for name in ("one", "two"):
        cwd = tree.parent / name
        pack = {"data/rows.yaml": "_target_: TOYS.Data\nsource: file://rows.csv\n", "rows.csv": "a"}
        write(cwd / "experiments" / "pack", pack)
        monkeypatch.chdir(cwd)
        found.append(run_hash_of(["data=rows"]))
    assert found[0] == found[1]


def test_hydra_s_directories_can_name_it(composed: Callable[..., Composed]) -> None:
    text = "defaults: [config, _self_]\nhydra: {run: {dir: 'runs/${name}/${run_hash:}'}}\n"
    composed(files={"own.yaml": text})
    ours = compose(["+experiment=sentiment"], config_name="own")
    assert ours.config.hydra.run.dir == f"runs/sentiment/{run_hash(ours.config)}"


def test_a_sweep_is_called_after_its_words() -> None:
    assert sweep_hash(["a=1,2", "b=3"]) == sweep_hash(["b=3", "a=1,2"]) != sweep_hash(["a=1,2"])


def test_words_that_compose_nothing_have_no_hash(tree: Path) -> None:
    with pytest.raises(FaultsError, match="minilm"):
        run_hash_of(["model=minilmm"])


def test_a_requeued_slurm_job_finds_its_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def directory() -> str:
        return str(compose([]).config.hydra.run.dir)

    assert re.search(r"/adhoc/\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d-[0-9a-f]{12}$", directory())
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    assert "slurm" not in directory(), "a shell of salloc may start many runs"
    monkeypatch.setenv("ENVIRONMENT", "BATCH")
    assert re.search(r"/adhoc/slurm-17-[0-9a-f]{12}$", directory())
    monkeypatch.setenv("SLURM_STEP_ID", "2")
    assert re.search(r"/adhoc/slurm-17\.2-[0-9a-f]{12}$", directory())
