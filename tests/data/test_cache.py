"""Prepared data are made once, whole, and anew where anything they depend on has changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from llm_lab.assets import home
from llm_lab.data.text_classification import TextClassificationData
from tests.data.conftest import TOKENIZER, Make, sentence, table

ROWS = [(sentence(number), "ab"[number % 2]) for number in range(60)]
SCRIPT = """
import sys
from pathlib import Path
from llm_lab.data.cache import DONE, prepared
def make(folder):
    with Path(sys.argv[1]).open("a") as file:
        file.write("made\\n")
    for number in range(2000):
        (folder / f"{number}").write_text("row")
    (folder / DONE).write_text("{}")
print("ready", flush=True)
sys.stdin.readline()
print(len(list(prepared("0123", make).iterdir())))
"""


def test_two_processes_make_it_once(tmp_path: Path) -> None:
    env = os.environ | {"LLM_LAB_HOME": str(tmp_path / "home")}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "made")]
    both = [subprocess.Popen(command, env=env, **pipes) for _ in range(2)]
    assert [process.stdout.readline() for process in both] == [
        "ready\n"
    ] * 2  # imports are done: start together
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate()[0] for process in both] == ["2001\n"] * 2
    assert (tmp_path / "made").read_text() == "made\n"
    assert [path.name for path in (tmp_path / "home" / "data").iterdir() if path.is_dir()] == ["0123"]


def test_a_second_module_finds_it(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    fingerprint = make(table(ROWS)).prepare().fingerprint
    monkeypatch.setattr(TextClassificationData, "make", None)
    assert make().prepare().fingerprint == fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"max_length": 8},
        {"split": {"val": 0.3}},
        {"limit": 20},
        {"labels": ["a", "b"]},
        {"duplicates": "keep"},
        {"tokenizer": TOKENIZER | {"vocab_size": 12}},
        {"transforms": {"clean": {"_target_": "llm_lab.data.transforms.Normalize", "lowercase": True}}},
        {"content": table(ROWS[:51])},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_change_makes_it_anew(make: Make, change: dict[str, object]) -> None:
    before = make(table(ROWS)).prepare()
    after = make(**change).prepare()
    assert before.fingerprint != after.fingerprint


def test_a_failure_leaves_nothing_behind(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    data = make(table(ROWS))
    with monkeypatch.context() as patch:
        patch.setattr("llm_lab.data.text_classification.tokenize", fail)
        with pytest.raises(KeyboardInterrupt):
            data.prepare()
    assert [path for path in (home() / "data").iterdir() if path.is_dir()] == []
    assert data.prepare().sizes["train"]


def test_what_a_killed_process_left_is_cleared(make: Make) -> None:
    data = make(table(ROWS))
    fingerprint = data.prepare().fingerprint
    folder = home() / "data" / fingerprint
    torn = folder.with_name(f"{fingerprint}.tmpabc")
    folder.rename(torn)
    assert make().prepare().fingerprint == fingerprint
    assert not torn.exists()
    assert (folder / "train.arrow").is_file()
