"""Downloads: cut, continued, refused."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from llm_lab.assets import resolve
from llm_lab.assets.cache import partial
from llm_lab.errors import AssetError

from .conftest import Web, sha256, zipped

CONTENT = bytes(range(256)) * 4000


def test_a_file_keeps_its_name_and_a_second_look_asks_nobody(web: Web) -> None:
    uri = web.put("/data/train.tsv", CONTENT)
    assert resolve(uri).read_bytes() == CONTENT
    assert resolve(uri).name == "train.tsv"
    assert len(web.requests) == 1


def test_a_member_of_a_web_archive(web: Web) -> None:
    address, _, fragment = web.put("/set.zip", zipped({"set/rows.csv": "a,b"})).partition("#")
    assert resolve(f"{address}!/set/rows.csv#{fragment}").read_text() == "a,b"


def test_a_cut_connection_is_continued(web: Web) -> None:
    uri = web.put("/file", CONTENT)
    web.cut_after = 300_000
    assert resolve(uri).read_bytes() == CONTENT
    assert web.requests[0] == ("/file", None)
    assert int(web.requests[1][1].removeprefix("bytes=")[:-1]) > 0


def test_what_a_killed_process_left_is_continued(web: Web) -> None:
    uri = web.put("/file", CONTENT)
    partial(sha256(CONTENT)).write_bytes(CONTENT[:70_000])
    assert resolve(uri).read_bytes() == CONTENT
    assert web.requests == [("/file", "bytes=70000-")]


def test_a_finished_download_is_not_asked_for_again(web: Web) -> None:
    uri = web.put("/file", CONTENT)
    partial(sha256(CONTENT)).write_bytes(CONTENT)
    assert resolve(uri).read_bytes() == CONTENT
    assert web.requests == []


@pytest.mark.parametrize("left", [b"garbage", b"garbage" * 500_000])
@pytest.mark.parametrize("ranges", ["with ranges", ""])
def test_what_is_left_of_another_file_is_never_trusted(web: Web, left: bytes, ranges: str) -> None:
    uri = web.put("/file", CONTENT)
    web.ranges = bool(ranges)
    partial(sha256(CONTENT)).write_bytes(left)
    assert resolve(uri).read_bytes() == CONTENT


def test_another_content_is_refused_and_not_kept(web: Web, cache: Path) -> None:
    uri = web.put("/file", CONTENT)
    web.contents["/file"] = b"other"
    with pytest.raises(AssetError, match=f"has sha256 {sha256(b'other')}, not {sha256(CONTENT)}"):
        resolve(uri)
    assert not [path for path in cache.rglob("*") if path.is_file() and path.read_bytes() == b"other"]


def test_what_the_server_says_is_told(web: Web) -> None:
    with pytest.raises(AssetError, match="404") as error:
        resolve(f"{web.url}/absent#sha256={'a' * 64}")
    assert "LLM_LAB_MIRROR" in str(error.value)
    assert len(web.requests) == 1


def test_no_network_fails_fast(cache: Path) -> None:
    started = time.monotonic()
    with pytest.raises(AssetError, match="cannot be fetched") as error:
        resolve(f"http://127.0.0.1:9/file#sha256={'a' * 64}")
    assert time.monotonic() - started < 5
    assert f"a file with sha256 {'a' * 64}" in str(error.value)


def test_size_and_licence_are_shown_before_the_download(web: Web, capsys: pytest.CaptureFixture[str]) -> None:
    resolve(web.put("/train.tsv", CONTENT), licence="CC BY 4.0 [draft]")
    assert capsys.readouterr().err == "fetching train.tsv, 1.0 MB, licence: CC BY 4.0 [draft]\n"
