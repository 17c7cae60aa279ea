"""A cache of its own for each test, tiny packages, and a web server on the loopback interface."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

Files = Mapping[str, str | bytes]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def as_bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def zipped(files: Files) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, as_bytes(content))
    return target.getvalue()


def tarred(files: Files, *extra: tarfile.TarInfo) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(as_bytes(content))
            archive.addfile(member, io.BytesIO(as_bytes(content)))
        for member in extra:
            archive.addfile(member)
    return target.getvalue()


class Web:
    """A server of named contents that counts what it was asked and can break off in the middle."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.requests: list[tuple[str, str | None]] = []  # path and Range of every GET
        self.cut_after: int | None = None  # bytes of the next answer before the connection breaks
        self.ranges = True
        self.gate = threading.Event()  # every answer waits for it
        self.gate.set()
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.answer(self)

            def log_message(self, *_: Any) -> None:
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range")
        self.requests.append((handler.path, wanted))
        self.gate.wait(timeout=30)
        content = self.contents.get(handler.path)
        if content is None:
            handler.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges else 0
        if start > len(content):
            handler.send_error(416)
            return
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        handler.send_header("Content-Type", "text/html" if handler.path.endswith("/") else "application/zip")
        handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        end, self.cut_after = (len(content) if self.cut_after is None else start + self.cut_after), None
        handler.wfile.write(content[start:end])
        handler.close_connection = True

    def put(self, path: str, content: bytes) -> str:
        """Serve the content at `path`; returns its asset URI."""
        self.contents[path] = content
        return f"{self.url}{path}#sha256={sha256(content)}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def web() -> Iterator[Web]:
    server = Web()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no mirror, no index but the ones that the test names."""
    for name in os.environ:
        if name.startswith(("PIP_", "LLM_LAB_")) or name in ("HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LLM_LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    (tmp_path / "links").mkdir()
    return tmp_path / "home"


@pytest.fixture
def links(tmp_path: Path) -> Path:
    """The folder where pip is told to find packages."""
    return tmp_path / "links"


def put_wheel(links: Path, files: Files, *, name: str = "tiny", version: str = "1.0") -> str:
    """Write a wheel; returns its sha256."""
    content = zipped({**files, f"{name}-{version}.dist-info/METADATA": f"Name: {name}\nVersion: {version}\n"})
    (links / f"{name}-{version}-py3-none-any.whl").write_bytes(content)
    return sha256(content)


def put_sdist(links: Path, files: Files, *, name: str = "tiny", version: str = "1.0") -> str:
    """Write a source distribution; returns its sha256."""
    content = tarred({f"{name}-{version}/{path}": text for path, text in files.items()})
    (links / f"{name}-{version}.tar.gz").write_bytes(content)
    return sha256(content)
