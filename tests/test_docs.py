"""What the pages show is so: commands run, output is real, tables are complete, links lead somewhere."""

from __future__ import annotations

import csv
import importlib.util
import io
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from llm_lab.config.catalogue import catalogue
from llm_lab.config.search_path import Layer
from llm_lab.config.words import OUTSIDE, Words, parse
from llm_lab.errors import AssetError
from tests.conftest import ROOT, Result

READMES = ("README.md", "README.zh-CN.md")
PAGES = (
    *READMES,
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/*.md")),
)
LAB = (".venv/bin/python", "-m", "llm_lab")
PACK = "experiments/support/"


class Block(NamedTuple):
    """One fenced block: its page, its language, its lines, and the file it is where a line above says so."""

    page: str
    language: str
    text: str
    file: str


class Command(NamedTuple):
    """One line of a shell block that calls the lab: its environment, its words, the output that is shown."""

    line: str
    env: dict[str, str]
    words: Words
    argv: list[str]
    shown: str

    def __str__(self) -> str:
        return " ".join(self.argv) or "list"


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[Block]:
    pattern = re.compile(
        r"(?:^`(?P<file>[\w./-]+)`\n\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
    )
    found = pattern.finditer(read(page))
    return [Block(page, one["language"], one["text"], one["file"] or "") for one in found]


def prose(page: str) -> str:
    return re.sub(r"^```.*?^```$", "", read(page), flags=re.MULTILINE | re.DOTALL)


def shell_lines(page: str) -> list[str]:
    return [line for block in blocks(page) if block.language == "sh" for line in block.text.splitlines()]


def lab_commands(page: str) -> list[Command]:
    found, every = [], blocks(page)
    for block, after in pairwise([*every, Block(page, "", "", "")]):
        lines = block.text.splitlines() if block.language == "sh" else []
        for line in lines:
            words = shlex.split(line.rpartition(" | ")[2])
            env = [words.pop(0) for _ in range(len(words)) if re.match(r"[A-Z_]+=", words[0])]
            if tuple(words[:3]) == LAB:
                shown = after.text if after.language == "text" and line is lines[-1] else ""
                named = dict(item.split("=", 1) for item in env)
                found.append(Command(line, named, parse(words[3:]), words[3:], shown))
    return found


COMMANDS = list({(one.line, one.shown): one for page in PAGES for one in lab_commands(page)}.values())
LOOKING = [one for one in COMMANDS if one.words.verb in ("list", "show", "check", "schema")]
TRAINING = [one for one in COMMANDS if one.words.verb == "train"]
GRAPHS = [one for one in COMMANDS if one.words.verb == "graph"]
SERVING = [one for one in COMMANDS if one.words.verb in ("evaluate", "predict", "resume")]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with every file that the pages name and show, and the shipped packs."""
    for block in (block for page in PAGES for block in blocks(page) if block.file):
        path = tmp_path / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")
    for pack in (ROOT / "experiments").iterdir():
        (tmp_path / "experiments" / pack.name).symlink_to(pack)
    (tmp_path / "reviews.csv").write_text("text,label\ngood,1\nbad,0\n")
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_the_pages_have_commands() -> None:
    assert len(LOOKING) > 15
    assert len(TRAINING) > 4
    assert {one.words.verb for one in SERVING} == {"evaluate", "predict", "resume"}


@pytest.mark.parametrize("command", LOOKING, ids=str)
def test_a_command_that_looks_shows_what_the_page_shows(
    command: Command, desk: Path, lab: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in command.env.items():
        monkeypatch.setenv(name, value)
    result = lab(*command.argv)
    refused = command.words.verb == "check" and bool(command.shown)
    assert result.code == (2 if refused else 0), result.err
    real = comparable(result.out + result.err)
    for line in comparable(command.shown):
        assert line in real


def comparable(text: str) -> list[str]:
    """Lines with paths from the checkout, single spaces inside, and no numbers of lines."""
    lines = text.replace(f"{ROOT}{os.sep}", "").splitlines()
    return [re.sub(r"(\.yaml):\d+", r"\1", re.sub(r"(?<=\S) +", " ", line)).strip() for line in lines]


@pytest.mark.parametrize("command", TRAINING, ids=str)
def test_the_words_of_a_training_are_right(command: Command, desk: Path, lab: Callable[..., Result]) -> None:
    if any("submitit_slurm" in word for word in command.argv) and not shutil.which("sbatch"):
        pytest.skip("Slurm is not installed here, which the check says")
    result = lab("check", *command.argv)
    assert result.code == 0, result.err


@pytest.mark.parametrize("command", GRAPHS, ids=str)
def test_a_command_over_a_graph_does_what_it_says(
    command: Command, desk: Path, lab: Callable[..., Result]
) -> None:
    result = lab(*command.argv)
    if result.code == 1 and any(word in result.err for word in ("no copy", "offline", "network")):
        pytest.skip(f"data not to be had here: {result.err.strip()}")
    faults = command.words.positionals[0] == "validate" and "kinds of faults" in result.out
    assert result.code == (1 if faults else 0), result.err
    if output := command.words.flags.get("output"):
        assert (desk / str(output)).stat().st_size


@pytest.mark.parametrize("page", PAGES)
def test_modules_that_are_run_are_there(page: str) -> None:
    for module, word in re.findall(r"python -m (llm_lab\.[\w.]+)(?: (\w+))?", read(page)):
        assert importlib.util.find_spec(module), module
        if module == "llm_lab.bench" and word:
            assert importlib.util.find_spec(f"{module}.{word}"), f"{module} {word}"


@pytest.mark.parametrize("page", ["docs/knowledge.md", "docs/rules.md"])
def test_the_examples_in_python_run(page: str, capsys: pytest.CaptureFixture[str], desk: Path) -> None:
    for block, after in pairwise([*blocks(page), Block(page, "", "", "")]):
        if block.language == "python":
            try:
                exec(compile(block.text, page, "exec"), {})
            except AssetError as error:
                pytest.skip(f"data not to be had here: {error}")
            shown = capsys.readouterr().out
            if not after.language and after.text:
                assert shown.strip() == after.text.strip()


def test_the_pack_of_ten_lines_trains_and_its_model_serves(
    desk: Path, lab: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [block for block in blocks("docs/extension.md") if block.file.startswith(PACK)]
    assert sum(len(block.text.splitlines()) for block in files if block.language == "yaml") <= 10
    (training,) = (one for one in lab_commands("docs/extension.md") if one.words.verb == "train")
    result = lab(*training.argv, "hydra.run.dir=runs/first")
    assert result.code == 0, result.err
    assert (desk / "runs/first/report.html").is_file()
    for command in SERVING:
        monkeypatch.setattr(
            "sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(b"My card was charged.\n")))
        )
        result = lab(*command.argv)
        assert result.code == 0, result.err
        if command.words.verb == "predict":
            (row,) = csv.DictReader(io.StringIO(result.out))
            assert row["label"] in {"billing", "technical"}


@pytest.mark.parametrize("page", PAGES)
def test_programs_and_targets_are_there(page: str) -> None:
    targets = re.findall(r"^([\w-]+):.*##", read("Makefile"), re.MULTILINE)
    for line in shell_lines(page):
        if line.startswith("make "):
            assert line.split()[1] in targets, line
        for program in re.findall(r"\.venv/bin/([\w-]+)", line):
            assert (Path(sys.executable).parent / program).exists(), line
        for file in re.findall(r"\btests/[\w/.]+", line):
            assert (ROOT / file).exists(), line


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (ROOT / page).parent / name if name else ROOT / page
        assert target.is_file(), link
        if anchor:
            titles = re.findall(r"^#+ (.*)$", prose(str(target.resolve().relative_to(ROOT))), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles], (
                link
            )


def test_every_page_is_in_the_index() -> None:
    index = read("docs/README.md")
    assert [page for page in PAGES if page.startswith("docs/") and f"({page[5:]})" not in index] == [
        "docs/README.md"
    ]


@pytest.mark.parametrize("page", READMES)
def test_the_table_of_experiments_is_that_of_the_files(page: str) -> None:
    expected = {}
    for path in [*ROOT.glob("conf/experiment/*.yaml"), *ROOT.glob("experiments/*/experiment/*.yaml")]:
        figure = yaml.safe_load(path.read_text(encoding="utf-8"))["expected"]
        expected[path.stem] = (f"{figure['value']:g} ± {figure['tolerance']:g}", f"{figure['minutes']:g}")
    rows = table(page, "`+experiment=`")
    assert {name.strip("`"): (figure, minutes) for name, _, figure, minutes in rows} == expected


@pytest.mark.parametrize("page", READMES)
def test_the_table_of_groups_is_that_of_the_files(page: str) -> None:
    groups = catalogue([Layer(scope="ours", folder=ROOT / "conf")])
    expected = {
        f"+{group}" if group in OUTSIDE else group: [entry.name for entry in entries]
        for group, entries in groups.items()
        if group != "experiment" and not group.startswith("hydra")
    }
    rows = table(page, "`data`", skip=0)
    assert {group.strip("`"): re.findall(r"`(\w+)`", choices) for group, choices in rows} == expected


def table(page: str, start: str, *, skip: int = 2) -> list[list[str]]:
    """Cells of the rows of a table from the line that begins with a cell, `skip` lines further."""
    lines = read(page).splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith(f"| {start} |")) + skip
    rows = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_both_readmes_say_the_same() -> None:
    english, chinese = (blocks(page) for page in READMES)
    assert [block.language for block in english] == [block.language for block in chinese]
    for one, other in zip(english, chinese, strict=True):
        if one.text != other.text:  # the tree of a run directory is translated, its names are not
            assert one.language == "text"
            names = [[line.split()[0] for line in block.text.splitlines()] for block in (one, other)]
            assert names[0] == names[1]
    levels = [re.findall(r"^(#+) ", prose(page), re.MULTILINE) for page in READMES]
    assert levels[0] == levels[1]
    links = [re.findall(r"\]\(([^)]+)\)", prose(page))[1:] for page in READMES]
    assert links[0] == links[1]


def test_the_experiment_that_is_shown_is_the_file() -> None:
    shown = next(block.text for block in blocks("README.md") if block.language == "yaml")
    assert shown == read("conf/experiment/sentiment.yaml")


def test_the_report_is_a_picture_of_decent_size() -> None:
    assert 10_000 < (ROOT / "docs/images/report.png").stat().st_size < 300_000
