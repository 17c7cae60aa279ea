"""`pypi://`: found as pip is configured, checked, unpacked, and never run."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from llm_lab.assets import fingerprint, resolve
from llm_lab.assets.pipconfig import pip_settings
from llm_lab.errors import AssetError

from .conftest import Web, put_sdist, put_wheel, sha256, tarred, zipped


def test_a_file_and_a_folder_of_a_wheel(links: Path) -> None:
    put_wheel(
        links, {"tiny/model/config.json": "{}", "tiny/model/vocab.txt": "a\nb", "tiny/__init__.py": "1/0"}
    )
    assert resolve("pypi://tiny==1.0/tiny/model/vocab.txt").read_text() == "a\nb"
    folder = resolve("pypi://tiny==1.0/tiny/model")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "vocab.txt"]


def test_paths_of_a_source_distribution_leave_its_top_folder_out(links: Path) -> None:
    put_sdist(links, {"tiny/rows.txt": "rows"})
    assert resolve("pypi://tiny==1.0[sdist]/tiny/rows.txt").read_text() == "rows"


def test_steps_go_through_archives_in_archives(links: Path) -> None:
    inner = zipped({"deep/rows.csv.gz": gzip.compress(b"text,label\n")})
    put_sdist(links, {"extra/outer.tar.gz": tarred({"top/inner.zip": inner})})
    uri = "pypi://tiny==1.0[sdist]/extra/outer.tar.gz!/top/inner.zip!/deep/rows.csv.gz!/"
    assert (resolve(uri).name, resolve(uri).read_text()) == ("rows.csv", "text,label\n")


def test_nothing_of_a_package_is_run(links: Path, tmp_path: Path) -> None:
    trap = f"open({str(tmp_path / 'ran')!r}, 'w')"
    put_sdist(links, {"setup.py": trap, "tiny/__init__.py": trap, "tiny/rows.txt": "rows"})
    resolve("pypi://tiny==1.0[sdist]/tiny")
    assert not (tmp_path / "ran").exists()


def test_the_sha256_is_that_of_the_distribution(links: Path) -> None:
    right = put_wheel(links, {"tiny/a.txt": "a"})
    assert resolve(f"pypi://tiny==1.0/tiny/a.txt#sha256={right}").read_text() == "a"
    with pytest.raises(AssetError, match=f"has sha256 {right}, not {'0' * 64}"):
        resolve(f"pypi://tiny==1.0/tiny/a.txt#sha256={'0' * 64}")


def test_a_fingerprint_tells_members_apart_and_does_not_depend_on_the_pin(links: Path) -> None:
    right = put_wheel(links, {"tiny/a.txt": "a", "tiny/b.txt": "b"})
    pinned = fingerprint(f"pypi://tiny==1.0/tiny/a.txt#sha256={right}")
    assert pinned == fingerprint("pypi://tiny==1.0/tiny/a.txt")
    assert pinned != fingerprint("pypi://tiny==1.0/tiny/b.txt")
    assert fingerprint(f"pypi://tiny==1.0#sha256={right}") == right


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("pypi://tiny==1.1/a", "tiny has no version 1.1; nearest: 1.0"),
        ("pypi://tiny==1.0[sdist]/a", "has only a wheel: leave [sdist] out"),
        ("pypi://source==1.0/a", "has no wheel: write source==1.0[sdist]"),
        ("pypi://absent==1.0/a", "knows no package 'absent'"),
        ("pypi://tiny==1.0/tiny/modle", "holds no 'tiny/modle'; nearest: tiny/model"),
        ("pypi://tiny==x.y/a", "Invalid version"),
    ],
)
def test_what_is_not_there_names_the_nearest(links: Path, uri: str, words: str) -> None:
    put_wheel(links, {"tiny/model/a": "a"})
    put_sdist(links, {"a": "a"}, name="source")
    with pytest.raises(AssetError) as error:
        resolve(uri)
    assert words in str(error.value)
    assert uri in str(error.value)


def index(web: Web, hashed: str = "#sha256=") -> bytes:
    """Serve an index with one wheel; returns the wheel."""
    wheel = zipped({"tiny/a.txt": "a"})
    fragment = hashed and hashed + sha256(wheel)
    web.contents["/simple/tiny/"] = f'<a href="/files/tiny-1.0-py3-none-any.whl{fragment}">t</a>'.encode()
    web.contents["/files/tiny-1.0-py3-none-any.whl"] = wheel
    return wheel


@pytest.mark.parametrize("hashed", ["#sha256=", ""])
def test_pips_index_is_asked_and_the_sha256_kept(
    web: Web, monkeypatch: pytest.MonkeyPatch, hashed: str
) -> None:
    index(web, hashed)
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", f"{web.url}/simple/")
    assert resolve("pypi://tiny==1.0/tiny/a.txt").read_text() == "a"
    assert sum("whl" in path for path, _ in web.requests) == 1
    monkeypatch.setenv("LLM_LAB_OFFLINE", "1")
    assert resolve("pypi://tiny==1.0/tiny/a.txt").read_text() == "a"
    resolve("pypi://tiny==1.0/tiny")  # another member needs no network either
    assert sum("whl" in path for path, _ in web.requests) == 1


def test_an_index_that_sends_another_file_is_caught(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    index(web)
    web.contents["/files/tiny-1.0-py3-none-any.whl"] = zipped({"tiny/a.txt": "evil"})
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", f"{web.url}/simple/")
    with pytest.raises(AssetError, match="has sha256"):
        resolve("pypi://tiny==1.0/tiny/a.txt")


def test_one_dead_source_does_not_stop_the_others(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    index(web)
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"{web.url}/simple/")
    assert resolve("pypi://tiny==1.0/tiny/a.txt").read_text() == "a"


def test_no_source_answers_and_no_password_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:geheim@127.0.0.1:9/simple/")
    with pytest.raises(AssetError, match="no package index answered") as error:
        resolve("pypi://tiny==1.0/tiny/a.txt")
    assert "geheim" not in str(error.value)


def test_pips_configuration_file_is_read_and_variables_win(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://one.example/simple\nextra-index-url = https://two.example https://three.example\n"
        "trusted-host = one.example\n[download]\nproxy = http://proxy.example\n"
    )
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://four.example")
    found = pip_settings()
    assert found.index_urls == ("https://one.example/simple", "https://four.example")
    assert (found.trusted_hosts, found.proxy) == (("one.example",), "http://proxy.example")


def test_without_any_configuration_the_librarys_default_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    assert len(pip_settings().index_urls) == 1
