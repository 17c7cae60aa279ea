"""HTTP downloads that continue where they were cut and are trusted by their sha256 alone."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_lab.assets.offline import missing, offline_switch
from llm_lab.assets.pipconfig import PipSettings, pip_settings
from llm_lab.assets.show import announce, progress
from llm_lab.errors import AssetError

if TYPE_CHECKING:
    from httpx2 import Response

_TIMEOUTS = (5.0, 30.0, 30.0, 5.0)  # seconds: connect, read, write, pool
_TRIES = 4  # a broken connection is continued, an unreachable host is not asked again
_CHUNK = 1 << 18


@contextmanager
def client(settings: PipSettings) -> Iterator[Any]:
    """An HTTP client with pip's certificates, proxy, trusted hosts and credentials; it reads `file:` too."""
    import ssl

    from unearth.auth import MultiDomainBasicAuth
    from unearth.fetchers.sync import PyPIClient

    verify = ssl.create_default_context(cafile=settings.cert) if settings.cert else True
    with PyPIClient(
        trusted_hosts=settings.trusted_hosts,
        verify=verify,
        timeout=_TIMEOUTS,
        follow_redirects=True,
        **({"proxy": settings.proxy} if settings.proxy else {}),
    ) as opened:
        opened.auth = MultiDomainBasicAuth(prompting=False, index_urls=settings.index_urls)
        yield opened


@dataclass(frozen=True, kw_only=True)
class Download:
    """One file to bring: `uri` for messages, `name` for the bar, `sha256` (`""`: not known) to check it."""

    uri: str
    url: str
    name: str
    sha256: str
    licence: str = ""

    def to(self, partial: Path) -> str:
        """Bring the whole file to `partial`, continuing what is there; returns its sha256.

        Raises AssetError where the network is forbidden or fails, or the content has another sha256.
        """
        if (switch := offline_switch()) and self.url.startswith("http"):
            raise missing(self.uri, sha256=self.sha256, why=f"{switch} forbids the network")
        if not self.sha256:  # nothing could prove that what is there belongs to the same file
            partial.unlink(missing_ok=True)
        digest = self._bring(partial)
        if self.sha256 and digest != self.sha256:
            partial.unlink()
            raise AssetError(f"{self.uri}: the file at {self.url} has sha256 {digest}, not {self.sha256}")
        return digest

    def _bring(self, partial: Path) -> str:
        import httpx2

        fault: Exception | None = None
        with client(pip_settings()) as opened:
            for _ in range(_TRIES):
                try:
                    return self._continue(opened, partial)
                except (httpx2.NetworkError, httpx2.TimeoutException, httpx2.RemoteProtocolError) as error:
                    fault = error
                    if isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout)):
                        break
                except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                    fault = error
                    break
        why = f"{redacted(self.url)} cannot be fetched ({redacted(str(fault).partition(chr(10))[0])})"
        raise missing(self.uri, sha256=self.sha256, why=why)

    def _continue(self, opened: Any, partial: Path) -> str:
        hasher = hashlib.sha256()
        if partial.exists():
            with partial.open("rb") as stream:
                hasher = hashlib.file_digest(stream, "sha256")
        done = partial.stat().st_size if partial.exists() else 0
        if done and hasher.hexdigest() == self.sha256:  # cut between the last byte and the rename
            return self.sha256
        digest = self._stream(opened, partial, hasher, done)
        if done and digest != self.sha256:  # the beginning was not of this file: once more from the start
            partial.unlink()
            return self._continue(opened, partial)
        return digest

    def _stream(self, opened: Any, partial: Path, hasher: Any, done: int) -> str:
        # identity: a server that compresses on the fly would change both the bytes and their ranges
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
        with opened.stream("GET", self.url, headers=headers) as response:
            continues = _continues(response, done)
            if done and response.is_error:  # such as 416, where what is there is longer than the file
                return ""
            if not continues:
                response.raise_for_status()
                hasher, done = hashlib.sha256(), 0
            rest = response.headers.get("Content-Length", "")
            total = done + int(rest) if rest.isdigit() else None
            announce(self.name, size=total, licence=self.licence)
            with (
                partial.open("ab" if continues else "wb") as target,
                progress(self.name, done=done, total=total) as advance,
            ):
                for chunk in response.iter_raw(_CHUNK):
                    target.write(chunk)
                    hasher.update(chunk)
                    advance(len(chunk))
        return str(hasher.hexdigest())


def redacted(text: str) -> str:
    """The text without the user names and passwords of its addresses."""
    return re.sub(r"//[^/@\s]+@", "//***@", text)


def _continues(response: Response, done: int) -> bool:
    """Whether the server sends the rest from byte `done` on."""
    partial_content, wanted = 206, f"bytes {done}-"
    return bool(
        done
        and response.status_code == partial_content
        and response.headers.get("Content-Range", "").startswith(wanted)
    )
