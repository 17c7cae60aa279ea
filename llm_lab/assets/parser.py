"""The parser of asset URIs: whatever it is given, it returns a URI or raises one AssetError."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NoReturn
from urllib.parse import parse_qsl, unquote

from llm_lab.assets.near import proposal
from llm_lab.assets.uri import AssetUri, GitUri, HubUri, PackageUri, RemoteUri, RunUri
from llm_lab.errors import AssetError

_SHA256 = re.compile(r"#sha256=([0-9a-fA-F]*)$")
_PACKAGE = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)==(?P<version>[A-Za-z0-9][A-Za-z0-9._+!-]*)"
    r"(?P<sdist>\[sdist\])?(?:/(?P<path>.*))?"
)
_GIT = re.compile(r"(?P<url>.+)@(?P<commit>[^@?#/]+)(?:\?(?P<query>[^#]*))?(?:#(?P<path>.*))?")
_RUN_PARTS = ("model", "checkpoints")  # what starts the path inside a run after an experiment's name
_GIT_TRANSPORTS = ("https", "ssh", "file")
_SHA256_DIGITS = 64


def parse(text: str) -> AssetUri:
    """Read a URI; raises AssetError that names what is wrong with it and the form that would be right."""
    scheme, found, rest = text.partition("://")
    if not found:
        _refuse(text, f"it has no scheme; a local file is written file://{text}")
    if not text.isprintable() or not rest or text != text.strip():
        _refuse(text, "it is empty or holds characters that cannot be printed")
    own = _PARSERS.get(scheme)
    if own:
        return own(text, rest)
    if scheme.startswith("git+"):
        return _git(text, scheme, rest)
    return _remote(text, scheme, rest)


def _refuse(text: str, why: str) -> NoReturn:
    raise AssetError(f"{text!r} is not an asset: {why}")


def clean_path(text: str, path: str) -> str:
    """A relative path of plain segments; AssetError where it would leave its root."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        _refuse(text, f"the path {path!r} steps out of its folder")
    return "/".join(parts)


def _pinned(text: str, rest: str) -> tuple[str, tuple[str, ...], str]:
    """Split into location, archive steps and sha256."""
    fragment = _SHA256.search(rest)
    sha256 = fragment[1].lower() if fragment else ""
    if fragment and len(sha256) != _SHA256_DIGITS:
        _refuse(text, f"its sha256 has {len(sha256)} hexadecimal digits instead of {_SHA256_DIGITS}")
    body = rest[: fragment.start()] if fragment else rest
    if "#sha256" in body or ("#" in body and not text.startswith("file://")):
        _refuse(text, "the only fragment it may end in is #sha256= and 64 hexadecimal digits")
    location, *inner = body.split("!/")
    steps = tuple(clean_path(text, step) for step in inner)
    if "" in steps[:-1]:
        _refuse(text, "two !/ follow each other")
    return location, steps, sha256


def _package(text: str, rest: str) -> PackageUri:
    location, inner, sha256 = _pinned(text, rest)
    found = _PACKAGE.fullmatch(location)
    if not found:
        _refuse(text, "a package is pinned: pypi://NAME==VERSION/path or pypi://NAME==VERSION[sdist]/path")
    path = clean_path(text, found["path"] or "")
    if found["path"] is not None and not path and inner:
        _refuse(text, "the path before !/ is empty")
    steps = inner if found["path"] is None else (path, *inner)
    return PackageUri(
        name=found["name"], version=found["version"], sdist=bool(found["sdist"]), steps=steps, sha256=sha256
    )


def _web(text: str, rest: str) -> RemoteUri:
    found = _remote(text, text.partition("://")[0], rest)
    if not found.sha256:
        _refuse(text, "a web address needs #sha256= and the file's sha256 at the end")
    if "/" not in found.location:
        _refuse(text, "it names a host and no file")
    return found


def _remote(text: str, scheme: str, rest: str) -> RemoteUri:
    location, steps, sha256 = _pinned(text, rest)
    if not location.strip("/"):
        _refuse(text, "it names no file")
    return RemoteUri(scheme=scheme, location=location, steps=steps, sha256=sha256)


def _hub(text: str, rest: str) -> HubUri:
    kind = "dataset" if rest.startswith("datasets/") else "model"
    parts = clean_path(text, rest.removeprefix("datasets/")).split("/")
    length = 1 if "@" in parts[0] else min(2, len(parts))  # old names such as gpt2 have no organisation
    repo, _, revision = "/".join(parts[:length]).partition("@")
    if "#" in rest or not re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", repo):
        _refuse(
            text,
            "a hub asset is written hf://org/name, hf://org/name@revision/path or hf://datasets/org/name",
        )
    return HubUri(repo=repo, kind=kind, revision=unquote(revision), path="/".join(parts[length:]))


def _run(text: str, rest: str) -> RunUri:
    place, _, query = rest.partition("?")
    if not place.startswith("experiment/"):
        if "?" in rest:
            _refuse(text, "overrides after ? belong to run://experiment/NAME?overrides")
        return RunUri(place=place)
    parts = clean_path(text, place).split("/")[1:]
    inside = next((i for i, part in enumerate(parts) if i and part in _RUN_PARTS), len(parts))
    words = tuple(unquote(word) for word in query.split("&") if word)
    if not parts:
        _refuse(text, "an experiment is written run://experiment/NAME?overrides")
    return RunUri(experiment="/".join(parts[:inside]), overrides=words, path="/".join(parts[inside:]))


def _git(text: str, scheme: str, rest: str) -> GitUri:
    transport = scheme.removeprefix("git+")
    if transport not in _GIT_TRANSPORTS:
        options = [f"git+{name}" for name in _GIT_TRANSPORTS]
        _refuse(text, f"the scheme {scheme}:// is not known{proposal(scheme, options)}")
    found = _GIT.fullmatch(rest)
    if not found or not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", found["commit"]):
        _refuse(
            text, "a git asset is pinned: git+https://host/repository@COMMIT (40 digits)?manifest=FILE#path"
        )
    query = dict(parse_qsl(found["query"] or ""))
    if set(query) != {"manifest"}:
        _refuse(
            text,
            "?manifest=FILE must name a file of sha256 and path per line, and nothing else may stand there",
        )
    return GitUri(
        url=f"{transport}://{found['url']}",
        commit=found["commit"],
        manifest=query["manifest"],
        path=clean_path(text, found["path"] or ""),
    )


_PARSERS: dict[str, Callable[[str, str], AssetUri]] = {
    "pypi": _package,
    "https": _web,
    "http": _web,
    "hf": _hub,
    "run": _run,
}
SCHEMES = (*_PARSERS, "file", "git+https")
