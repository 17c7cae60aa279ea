"""A folder of YAML and a table extends the lab; nothing of Python is written."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

from tests.conftest import TOY, Result, toy_rows

PACK = {
    "data/tickets.yaml": "# Support tickets.\ndefaults: [table]\nsource: file://tickets.csv\n"
    "split: {val: 0.15, test: 0.15}\nbatch_size: 8\n",
    "model/small.yaml": TOY["conf/model/toy.yaml"],
    "experiment/tickets.yaml": "# @package _global_\n# Where does a ticket go?\ndefaults:\n"
    "  - override /data: tickets\n  - override /model: small\n  - override /logger: none\n",
}


def write_pack(folder: Path) -> Path:
    for name, text in PACK.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with (folder / "tickets.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *toy_rows(120)])
    return folder


def test_a_pack_adds_an_experiment_a_data_set_and_a_model(toy: Path, lab: Callable[..., Result]) -> None:
    write_pack(toy / "experiments" / "support")
    assert "Where does a ticket go?" in lab("list").out
    result = lab("+experiment=tickets", "+debug=smoke", "hydra.run.dir=run")
    assert result.code == 0, result.err
    assert json.loads((toy / "run" / "metrics.json").read_text())["run/steps"] == 2


def test_one_name_in_two_packs_is_an_error(toy: Path, lab: Callable[..., Result]) -> None:
    for pack in ("support", "sales"):
        write_pack(toy / "experiments" / pack)
    result = lab("check", "+experiment=tickets")
    assert result.code == 2
    assert "experiments/sales" in result.err + result.out
    assert "experiments/support" in result.err + result.out


def test_a_relative_file_that_is_missing(toy: Path, lab: Callable[..., Result]) -> None:
    (write_pack(toy / "experiments" / "support") / "tickets.csv").unlink()
    result = lab("+experiment=tickets", "+debug=smoke", "hydra.run.dir=run")
    assert result.code in {1, 2}
    assert "tickets.csv" in result.err + result.out
    assert "Traceback" not in result.err
