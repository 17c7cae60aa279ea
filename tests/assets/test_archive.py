"""Archives are taken apart without trusting a word of them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_lab.assets.archive import Budget, unpack
from llm_lab.errors import AssetError

from .conftest import tarred, zipped


def take(tmp_path: Path, content: bytes, step: str) -> Path:
    archive, target = tmp_path / "some.archive", tmp_path / "target"
    archive.write_bytes(content)
    target.mkdir()
    return unpack(archive, step, target, budget=Budget())


def special(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


NAMES = st.lists(st.from_regex(r"[a-z]{1,3}", fullmatch=True), min_size=1, max_size=3).map("/".join)
TREES = st.dictionaries(NAMES, st.binary(max_size=30), min_size=1, max_size=6).filter(
    lambda tree: not any(other.startswith(f"{name}/") for name in tree for other in tree)
)


@given(tree=TREES, pack=st.sampled_from([zipped, tarred]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_a_folder_comes_out_as_it_went_in(tree: dict[str, bytes], pack, tmp_path_factory) -> None:
    inside = {f"top/data/{name}": content for name, content in tree.items()}
    folder = take(
        tmp_path_factory.mktemp("a"), pack({**inside, "top/database": b"no", "other": b"no"}), "top/data"
    )
    assert folder.name == "data"
    found = {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()
    }
    assert found == tree


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "C:\\evil", "a\\..\\..\\evil"])
def test_names_that_leave_the_archive_are_refused(tmp_path: Path, pack, name: str) -> None:
    with pytest.raises(AssetError, match="points outside"):
        take(tmp_path, pack({"a/good": "x", name: "evil"}), "a")
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize(
    "member",
    [
        special("a/link", tarfile.SYMTYPE, "/etc/passwd"),
        special("a/link", tarfile.LNKTYPE, "a/good"),
        special("a/link", tarfile.CHRTYPE),
        special("a/link", tarfile.FIFOTYPE),
    ],
)
def test_links_and_devices_are_refused_where_they_are_asked_for(
    tmp_path: Path, member: tarfile.TarInfo
) -> None:
    content = tarred({"a/good": "x", "b/good": "y"}, member)
    with pytest.raises(AssetError, match="'a/link' is a link or a device"):
        take(tmp_path, content, "a")
    (tmp_path / "again").mkdir()
    assert take(tmp_path / "again", content, "b/good").read_text() == "y"


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        link = zipfile.ZipInfo("a/link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(AssetError, match="is a link or a device"):
        take(tmp_path, target.getvalue(), "a/link")


@pytest.mark.parametrize("pack", [zipped, tarred, lambda files: gzip.compress(next(iter(files.values())))])
def test_a_bomb_meets_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack) -> None:
    monkeypatch.setenv("LLM_LAB_UNPACK_LIMIT", "1000000")
    with pytest.raises(AssetError, match="more than 1000000 bytes; LLM_LAB_UNPACK_LIMIT"):
        take(tmp_path, pack({"zeros": bytes(3_000_000)}), "")
    assert (
        sum(file.stat().st_size for file in (tmp_path / "target").rglob("*") if file.is_file()) <= 1_000_000
    )


def test_many_empty_files_meet_the_limit_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_LAB_UNPACK_LIMIT", "1000000")
    with pytest.raises(AssetError, match="more than 1000000 bytes"):
        take(tmp_path, zipped({f"{number}": "" for number in range(300)}), "")


def test_a_tar_header_of_gigabytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    header = special("huge", tarfile.XHDTYPE)
    header.size = 1 << 30
    with pytest.raises(AssetError, match="header of 1073741824 bytes"):
        take(tmp_path, gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(1024)), "")


def test_a_limit_that_is_no_number_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_LAB_UNPACK_LIMIT", "16G")
    with pytest.raises(AssetError, match="LLM_LAB_UNPACK_LIMIT=16G is not a number of bytes"):
        take(tmp_path, zipped({"a": "b"}), "a")


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_single_file_is_an_archive_of_one(tmp_path: Path, compress) -> None:
    path = take(tmp_path, compress(b"a row\n"), "")
    assert (path.name, path.read_text()) == ("some", "a row\n")


def test_a_missing_path_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"holds no 'data/tran.csv'; nearest: data/train.csv"):
        take(tmp_path, zipped({"data/train.csv": "x", "data/test.csv": "y"}), "data/tran.csv")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"plain text", "is no archive"),
        (zipped({"a": "b" * 100})[:-30], "is no archive"),
        (tarred({"a": b"b" * 10000})[:-30], "cannot be unpacked"),
    ],
    ids=["text", "zip", "tar"],
)
def test_a_broken_archive_is_one_clear_error(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(AssetError, match=f"some.archive {words}"):
        take(tmp_path, content, "a")


def test_a_file_that_is_also_a_folder_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="cannot be unpacked"):
        take(tmp_path, tarred({"top/a": "file", "top/a/b": "below"}), "top")
