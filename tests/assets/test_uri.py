"""The parser: what is written is what is read, and faults are told with the right form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_lab.assets.parser import parse
from llm_lab.assets.uri import GitUri, HubUri, PackageUri, RemoteUri, RunUri
from llm_lab.errors import AssetError


def plain(path: str) -> bool:
    """Whether every segment stands for itself."""
    return all(part not in ("", ".", "..") for part in path.split("/"))


SEGMENT = st.text("abcXYZ019_-. 中é", min_size=1, max_size=8).filter(lambda text: text not in (".", ".."))
PATH = st.lists(SEGMENT, min_size=1, max_size=3).map("/".join).map(str.strip).filter(plain)
WORD = st.from_regex(r"[a-z]([a-z0-9_]{0,7}[a-z0-9])?", fullmatch=True)
HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
SHA256 = HEX | st.just("")
COMMIT = st.text("0123456789abcdef", min_size=40, max_size=40)


def steps(size: int) -> st.SearchStrategy[tuple[str, ...]]:
    inner = st.lists(PATH, max_size=2).map(tuple)
    return inner if size == 0 else st.tuples(PATH).flatmap(lambda first: inner.map(lambda rest: first + rest))


URIS = st.one_of(
    st.builds(
        PackageUri,
        name=WORD,
        version=st.from_regex(r"[0-9]{1,2}(\.[0-9]{1,2}){0,2}(rc1|\.post2)?", fullmatch=True),
        sdist=st.booleans(),
        steps=steps(0),
        sha256=SHA256,
    ),
    st.builds(
        RemoteUri, scheme=st.just("https"), location=st.just("host/a/b.zip?x=1"), steps=steps(0), sha256=HEX
    ),
    st.builds(RemoteUri, scheme=st.just("s3"), location=PATH, steps=steps(0), sha256=SHA256),
    st.builds(RemoteUri, scheme=st.just("file"), location=PATH, steps=steps(0), sha256=SHA256),
    st.builds(
        HubUri,
        repo=st.tuples(WORD, WORD).map("/".join).filter(lambda repo: not repo.startswith("datasets/")),
        kind=st.sampled_from(["model", "dataset"]),
        revision=st.sampled_from(["", "main", "refs/pr/1"]),
        path=PATH | st.just(""),
    ),
    st.builds(
        RunUri,
        experiment=WORD.filter(lambda name: name not in ("model", "checkpoints")),
        overrides=st.lists(
            st.text("ab=+.,[]{}&?#% 中", min_size=1, max_size=9).map(str.strip).filter(bool)
        ).map(tuple),
        path=st.sampled_from(["", "model", "checkpoints/last.ckpt"]),
    ),
    st.builds(
        GitUri, url=st.just("https://host/repo.git"), commit=COMMIT, manifest=PATH, path=PATH | st.just("")
    ),
)


@given(uri=URIS)
def test_what_is_written_is_read_back(uri: PackageUri) -> None:
    assert parse(str(uri)) == uri


@given(
    text=st.text(max_size=60)
    | st.tuples(
        st.sampled_from(["pypi://", "https://", "file://", "hf://", "run://", "git+https://", "s3://"]),
        st.text("ab/.=@[]!?#%~sha256 \n中", max_size=40),
    ).map("".join)
)
def test_any_text_is_a_uri_without_climbing_steps_or_one_error(text: str) -> None:
    try:
        uri = parse(text)
    except AssetError as error:
        told = repr(text) in str(error)
    else:
        told = parse(str(uri)) == uri and not any(
            ".." in step.split("/") for step in getattr(uri, "steps", ())
        )
    assert told


def test_a_package_member_inside_an_archive() -> None:
    uri = parse(f"pypi://Tiny==2.5[sdist]/extra/data.tar.gz!/top/rows.txt#sha256={'AB' * 32}")
    assert uri == PackageUri(
        name="Tiny", version="2.5", sdist=True, steps=("extra/data.tar.gz", "top/rows.txt"), sha256="ab" * 32
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("data.csv", "file://data.csv"),
        ("pypi://tiny/file", "pypi://NAME==VERSION/path"),
        ("pypi://tiny==1.0/../file", "steps out of its folder"),
        ("pypi://tiny==1.0/a.zip!/../../file", "steps out of its folder"),
        ("https://host/file.csv", "needs #sha256="),
        ("https://host/file.csv#sha256=abc", "3 hexadecimal digits instead of 64"),
        ("https://host/file.csv#md5=abc", "#sha256= and 64 hexadecimal digits"),
        ("https://host#sha256=" + "a" * 64, "names a host and no file"),
        ("git+https://host/repo@main?manifest=m#path", "@COMMIT (40 digits)"),
        (f"git+https://host/repo@{'a' * 40}#path", "?manifest=FILE"),
        (f"git+http://host/repo@{'a' * 40}?manifest=m", "nearest: git+https"),
        ("run://abc?seed=1", "run://experiment/NAME?overrides"),
        ("hf://a/b c", "hf://org/name"),
        ("file://", "is empty"),
    ],
)
def test_a_fault_names_the_right_form(text: str, words: str) -> None:
    with pytest.raises(AssetError) as error:
        parse(text)
    assert repr(text) in str(error.value)
    assert words in str(error.value)
