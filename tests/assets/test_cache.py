"""The cache under parallel processes, kills, corruption, and without a network."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from llm_lab.assets import digest, home, mirror, resolve
from llm_lab.assets.cache import once
from llm_lab.data.cache import prepared
from llm_lab.errors import AssetError, ConfigError

from ..conftest import SHARED  # noqa: TID252 - the tests are one package
from .conftest import Web, put_wheel, sha256, zipped


def test_a_cache_that_cannot_be_kept_names_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LLM_LAB_HOME", str(tmp_path / "file" / "home"))
    for use in (lambda: prepared("0" * 32, print), lambda: once("key", print, uri="file://x")):
        with pytest.raises(
            ConfigError, match=r"^LLM_LAB_HOME: no cache can be kept in .*/file/home: Not a dir"
        ):
            use()


RESOLVE = "import sys; from llm_lab.assets import resolve; print(resolve(sys.argv[1]))"


def test_two_processes_fetch_once(web: Web) -> None:
    address, _, fragment = web.put("/big.zip", zipped({"a/rows": os.urandom(300_000)})).partition("#")
    command = [sys.executable, "-c", RESOLVE, f"{address}!/a/rows#{fragment}"]
    web.gate.clear()  # the download stands still until the other process has met the lock
    reader, writer = os.pipe()
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=writer, text=True) for _ in range(2)]
    os.close(writer)
    with os.fdopen(reader) as told:
        assert any("waiting for another process that fetches" in line for line in told)
        web.gate.set()
        answers = {process.communicate(timeout=60)[0] for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(answers) == 1
    assert Path(answers.pop().strip()).stat().st_size == 300_000
    assert len(web.requests) == 1


KILLED = """
import os, signal, sys
from contextlib import contextmanager
from llm_lab.assets import fetch, resolve

@contextmanager
def fatal(*words, **facts):
    received = 0
    def advance(count):
        nonlocal received
        received += count
        if received > 500_000:
            os.kill(os.getpid(), signal.SIGKILL)
    yield advance

fetch.progress, fetch._CHUNK = fatal, 1000
resolve(sys.argv[1])
"""


def test_a_download_killed_in_the_middle_is_continued(web: Web) -> None:
    content = os.urandom(1_000_000)
    uri = web.put("/file", content)
    killed = subprocess.run([sys.executable, "-c", KILLED, uri], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert resolve(uri).read_bytes() == content
    assert int(web.requests[-1][1].removeprefix("bytes=")[:-1]) > 400_000


@pytest.mark.parametrize("damage", [b"short", None])
def test_a_damaged_copy_is_fetched_again(web: Web, damage: bytes | None) -> None:
    uri = web.put("/file", b"the right content")
    path = resolve(uri)
    path.unlink() if damage is None else path.write_bytes(damage)
    assert resolve(uri).read_bytes() == b"the right content"
    assert len(web.requests) == 2


def test_a_damaged_folder_is_unpacked_again(links: Path) -> None:
    put_wheel(links, {"tiny/model/a": "aaa", "tiny/model/b": "bbb"})
    (resolve("pypi://tiny==1.0/tiny/model") / "b").unlink()
    assert (resolve("pypi://tiny==1.0/tiny/model") / "b").read_text() == "bbb"


def test_what_a_killed_unpacking_left_is_swept(links: Path, cache: Path) -> None:
    put_wheel(links, {"tiny/model/a": "aaa"})
    folder = resolve("pypi://tiny==1.0/tiny/model")
    entry = folder.parents[1]
    staging = cache / "staging" / entry.relative_to(cache / "entries")
    entry.rename(staging)  # as if killed before the rename
    (staging / "content" / "half").write_text("torn")
    again = resolve("pypi://tiny==1.0/tiny/model")
    assert [path.name for path in again.parent.iterdir()] == ["model"]
    assert not staging.exists()


@pytest.fixture
def mirrored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "mirror" / "deep"
    folder.mkdir(parents=True)
    monkeypatch.setenv(
        "LLM_LAB_MIRROR", os.pathsep.join([str(tmp_path / "absent"), str(tmp_path / "mirror")])
    )
    monkeypatch.setenv("LLM_LAB_OFFLINE", "1")
    return folder


def test_offline_with_a_mirror_by_content_and_not_by_name(mirrored: Path) -> None:
    (mirrored / "any name").write_bytes(b"content")
    path = resolve(f"https://host.invalid/data/train.tsv#sha256={sha256(b'content')}")
    assert (path.name, path.read_bytes()) == ("train.tsv", b"content")
    wheel = zipped({"tiny/a": "a"})
    (mirrored / "blob").write_bytes(wheel)
    assert resolve(f"pypi://tiny==1.0/tiny/a#sha256={sha256(wheel)}").read_text() == "a"


def test_a_changed_mirror_file_is_seen(mirrored: Path) -> None:
    (mirrored / "file").write_bytes(b"before")
    assert mirror.find(sha256(b"before"))
    (mirrored / "file").write_bytes(b"after")
    assert not mirror.find(sha256(b"before"))
    assert mirror.find(sha256(b"after")) == mirrored / "file"


def test_a_mirror_is_read_once(mirrored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        (mirrored / f"{number}").write_bytes(b"%d" % number)
    assert not mirror.find("a" * 64)
    monkeypatch.setattr(digest, "sha256_of", lambda path: pytest.fail(f"read {path} again"))
    assert mirror.find(sha256(b"3")) == mirrored / "3"


@pytest.mark.parametrize("switch", ["LLM_LAB_OFFLINE", "HF_HUB_OFFLINE"])
@pytest.mark.parametrize("uri", ["https://host.invalid/rows.csv", "pypi://tiny==1.0/rows.csv"])
def test_offline_without_a_copy_says_what_would_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, switch: str, uri: str
) -> None:
    monkeypatch.setenv(switch, "1")
    monkeypatch.setenv("LLM_LAB_MIRROR", str(tmp_path / "typo"))
    monkeypatch.delenv("PIP_NO_INDEX")
    with pytest.raises(AssetError) as error:
        resolve(f"{uri}#sha256={'a' * 64}")
    for words in (
        uri,
        f"{switch}=1 forbids",
        f"sha256 {'a' * 64}",
        "LLM_LAB_MIRROR",
        "typo, which is no folder",
        "cache",
    ):
        assert words in str(error.value)


def test_a_local_folder_of_packages_serves_offline(links: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_wheel(links, {"tiny/a": "a"})
    monkeypatch.setenv("LLM_LAB_OFFLINE", "1")
    assert resolve("pypi://tiny==1.0/tiny/a").read_text() == "a"


def test_the_cache_folder_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLM_LAB_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert home() == Path("/somewhere/llm_lab")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert home() == Path.home() / ".cache" / "llm_lab"


@pytest.mark.skipif(
    not SHARED.is_dir(), reason="needs the folder of standard data sets beside the repository"
)
def test_a_public_data_set_comes_from_the_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_LAB_MIRROR", str(SHARED))
    monkeypatch.setenv("LLM_LAB_OFFLINE", "1")
    name, _, expected, url, *_ = (SHARED / "SOURCES.tsv").read_text().splitlines()[1].split("\t")
    assert resolve(f"{url}#sha256={expected}").read_bytes() == (SHARED / name).read_bytes()


def test_importing_the_resolver_loads_nothing_heavy() -> None:
    heavy = (
        "torch",
        "transformers",
        "numpy",
        "datasets",
        "huggingface_hub",
        "httpx2",
        "rich",
        "fsspec",
        "ssl",
    )
    code = f"import sys, llm_lab.assets; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
