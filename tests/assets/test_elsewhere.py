"""`file://`, `run://`, `git+`, `hf://` and the schemes of fsspec."""

from __future__ import annotations

import json
import os
import subprocess
from importlib import import_module
from pathlib import Path

import fsspec
import pytest

from llm_lab.assets import fingerprint, resolve
from llm_lab.errors import AssetError

from .conftest import sha256, zipped


def test_a_file_relative_to_the_one_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "rows#1.csv").write_text("rows")
    assert resolve("file://rows#1.csv", base=tmp_path / "pack").read_text() == "rows"
    assert resolve(f"file://{tmp_path}/pack").is_dir()
    with pytest.raises(AssetError, match=r"there is no .*rows#2.csv; nearest: rows#1.csv"):
        resolve("file://rows#2.csv", base=tmp_path / "pack")


def test_a_local_file_is_checked_and_stepped_into(tmp_path: Path) -> None:
    content = zipped({"a/rows.csv": "rows"})
    (tmp_path / "set.zip").write_bytes(content)
    good = resolve(f"file://set.zip!/a/rows.csv#sha256={sha256(content)}", base=tmp_path)
    assert good.read_text() == "rows"
    with pytest.raises(AssetError, match="has sha256"):
        resolve(f"file://set.zip#sha256={'0' * 64}", base=tmp_path)


def test_a_folders_fingerprint_follows_its_content(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a").write_text("1")
    before = fingerprint("file://set", base=tmp_path)
    assert before == fingerprint("file://set", base=tmp_path)
    (tmp_path / "set" / "b").write_text("")
    assert before != fingerprint("file://set", base=tmp_path)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def put_run(folder: Path, run_hash: str, *, done: bool = True) -> Path:
    (folder / "model").mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"hash": run_hash}))
    if done:
        (folder / "metrics.json").write_text("{}")
    return folder


def test_a_run_by_path_and_by_the_beginning_of_its_hash(runs: Path) -> None:
    run = put_run(runs / "toy" / "first", "abc123def")
    put_run(runs / "toy" / "cut", "abc123fff", done=False)
    assert resolve("run://runs/toy/first/model") == run / "model"
    assert resolve(f"run://{run}") == run
    assert resolve("run://abc123") == run
    assert resolve("run://abc123/model") == run / "model"


def test_the_newest_of_two_runs_is_taken(runs: Path) -> None:
    old, new = put_run(runs / "z_old", "abc1234"), put_run(runs / "a_new", "abc1234")
    os.utime(old / "metrics.json", (1, 1))
    assert resolve("run://abc1234") == new


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("run://abc124", "no finished run"),
        ("run://abc124", "nearest: abc123"),
        ("run://runs/tyo/first", "nearest: runs/toy/first"),
        ("run://abc123/modle", "nearest: model"),
        ("run://ccc123", "no finished run"),
    ],
)
def test_a_run_that_is_not_there_names_the_nearest(runs: Path, uri: str, words: str) -> None:
    put_run(runs / "toy" / "first", "abc123")
    put_run(runs / "toy" / "cut", "ccc123", done=False)
    with pytest.raises(AssetError) as error:
        resolve(uri)
    assert words in str(error.value)


TRAINER = """
import json, os, pathlib, sys
print(sys.argv[1:])
if "fail" in sys.argv:
    sys.exit(3)
folder = pathlib.Path("runs/made")
(folder / "model").mkdir(parents=True)
(folder / "run.json").write_text(json.dumps({"hash": "f00f00"}))
(folder / "metrics.json").write_text("{}")
(folder / "words.json").write_text(json.dumps(sys.argv[1:]))
(folder / "env.json").write_text(json.dumps(dict(os.environ)))
"""


@pytest.fixture
def trainer(runs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the command, in the working directory, where `python -m` finds it first."""
    (runs.parent / "llm_lab").mkdir()
    (runs.parent / "llm_lab" / "__init__.py").touch()
    (runs.parent / "llm_lab" / "__main__.py").write_text(TRAINER)
    monkeypatch.setattr(import_module("llm_lab.config.run_hash"), "run_hash_of", lambda words: "f00f00")
    return runs / "made"


def test_an_experiment_is_trained_where_no_run_has_its_hash(
    trainer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_LAB_DEBUG", "smoke")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert resolve("run://experiment/toy/model?seed=1&optimizer.lr=0.1") == trainer / "model"
    words = json.loads((trainer / "words.json").read_text())
    assert words == ["+experiment=toy", "+debug=smoke", "seed=1", "optimizer.lr=0.1"]
    assert "LOCAL_RANK" not in json.loads((trainer / "env.json").read_text())
    stamp = (trainer / "metrics.json").stat().st_mtime_ns
    resolve("run://experiment/toy?seed=1")
    assert (trainer / "metrics.json").stat().st_mtime_ns == stamp


def test_a_training_that_fails_or_waits_for_itself_is_told(
    trainer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AssetError, match="its training failed with exit code 3"):
        resolve("run://experiment/toy?fail")
    monkeypatch.setenv("LLM_LAB_RUN_CHAIN", "f00f00")
    with pytest.raises(AssetError, match="waits for itself"):
        resolve("run://experiment/toy")


@pytest.fixture
def repository(tmp_path: Path) -> tuple[Path, str]:
    folder = tmp_path / "repository"
    (folder / "data" / "deep").mkdir(parents=True)
    (folder / "data" / "a.txt").write_text("a")
    (folder / "data" / "deep" / "b.txt").write_text("b")
    (folder / "other.txt").write_text("other")
    git = ["git", "-c", "user.name=n", "-c", "user.email=e", "-C", str(folder)]
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "Add rows"]):
        subprocess.run([*git, *words], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    (tmp_path / "list.sha256").write_text(
        f"{sha256(b'a')}  data/a.txt\n{sha256(b'b')}  data/deep/b.txt\n{sha256(b'other')}  other.txt\n"
    )
    return folder, commit.stdout.strip()


def test_the_files_of_a_commit(repository: tuple[Path, str], tmp_path: Path) -> None:
    folder, commit = repository
    uri = f"git+file://{folder}@{commit}?manifest=list.sha256"
    got = resolve(f"{uri}#data", base=tmp_path)
    assert sorted(path.relative_to(got).as_posix() for path in got.rglob("*.txt")) == ["a.txt", "deep/b.txt"]
    assert resolve(f"{uri}#data/a.txt", base=tmp_path).read_text() == "a"
    assert (resolve(uri, base=tmp_path) / "other.txt").read_text() == "other"


def test_a_commits_file_that_differs_from_the_manifest_is_refused(
    repository: tuple[Path, str], tmp_path: Path
) -> None:
    folder, commit = repository
    (tmp_path / "wrong.sha256").write_text(f"{'0' * 64}  data/a.txt\n")
    with pytest.raises(AssetError, match="the manifest says 000"):
        resolve(f"git+file://{folder}@{commit}?manifest=wrong.sha256", base=tmp_path)
    (tmp_path / "wrong.sha256").write_text("data/a.txt\n")
    with pytest.raises(AssetError, match=r"wrong.sha256:1: not a line of sha256sum"):
        resolve(f"git+file://{folder}@{commit}?manifest=wrong.sha256", base=tmp_path)


def test_a_mirror_stands_in_for_a_repository(
    repository: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, commit = repository
    uri = f"git+https://host.invalid/repository@{commit}?manifest=list.sha256#data"
    monkeypatch.setenv("LLM_LAB_OFFLINE", "1")
    with pytest.raises(AssetError, match="LLM_LAB_OFFLINE=1 forbids"):
        resolve(uri, base=tmp_path)
    monkeypatch.setenv("LLM_LAB_MIRROR", str(folder))
    assert (resolve(uri, base=tmp_path) / "deep" / "b.txt").read_text() == "b"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub library's cache with one model in it, and no network."""
    model = tmp_path / "hub" / "models--org--tiny"
    snapshot = model / "snapshots" / ("c" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (snapshot / "model.safetensors").write_bytes(b"")
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("c" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("LLM_LAB_OFFLINE", "1")
    return snapshot


def test_a_hub_model_from_the_hubs_own_cache(hub: Path) -> None:
    assert resolve("hf://org/tiny") == hub
    assert resolve("hf://org/tiny@main/config.json") == hub / "config.json"
    assert fingerprint("hf://org/tiny") == fingerprint(f"hf://org/tiny@{'c' * 40}")


def test_a_hub_model_without_a_copy_or_a_path(hub: Path) -> None:
    with pytest.raises(
        AssetError, match=r"hf://org/absent: no copy in the hub's cache and LLM_LAB_OFFLINE=1"
    ):
        resolve("hf://org/absent")
    with pytest.raises(AssetError, match=r"holds no 'config.jsn'; nearest: config.json"):
        resolve("hf://org/tiny/config.jsn")


def test_a_storage_of_fsspec_with_and_without_a_pin(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe({"/bucket/set/a.csv": b"a", "/bucket/set/b.csv": b"b"})
    assert resolve(f"memory://bucket/set/a.csv#sha256={sha256(b'a')}").read_text() == "a"
    with pytest.raises(AssetError, match="has sha256"):
        resolve(f"memory://bucket/set/b.csv#sha256={sha256(b'a')}")
    with pytest.raises(AssetError, match="the storage says: FileNotFoundError"):
        resolve("memory://bucket/set/c.csv")
    folder = resolve("memory://bucket/set")
    memory.rm("/bucket", recursive=True)
    monkeypatch.setenv("LLM_LAB_OFFLINE", "1")
    assert (resolve("memory://bucket/set") / "b.csv").read_text() == "b"
    assert folder.name == "set"


def test_an_unknown_scheme_names_the_nearest() -> None:
    with pytest.raises(AssetError, match=r"the scheme htps:// is not known; nearest: https"):
        resolve("htps://host/file")
    with pytest.raises(AssetError, match=r"the scheme pipy:// is not known; nearest: pypi"):
        resolve("pipy://tiny==1.0/a")
