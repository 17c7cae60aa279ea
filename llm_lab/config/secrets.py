"""Keep what must stay private out of stored configs, reports, trackers and logs."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from omegaconf import DictConfig, OmegaConf

from llm_lab.config.environment import EnvironmentAsText, Unresolved, literal

MASK = "***"
SHORTEST_SECRET = 4  # shorter values cannot be masked in a text without destroying it
SHORTEST_VALUE = 6  # the same for environment values whose name promises no secret
SHORTEST_PART = 8  # a literal secret is also masked where it is part of another value
_SECRET_KEY = re.compile(
    r"(?:^|[_-])(?:passw(?:or)?d|passphrase|secrets?|credentials?|(?:api|access|private|secret)[_-]?key"
    r"|(?:auth|access|refresh|api|hf|hub|bearer|session|bot|github|gitlab|wandb)[_-]?token)(?:$|[_-])|^token$",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"(?<=://)([^/\s:@]*):[^/\s@]+@")
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n\0]")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?%?|[+-]?(?:inf|nan)")


def is_secret(key: object) -> bool:
    """Whether a key or a variable is named like a secret: ``api_key``, ``HF_TOKEN``; not ``mask_token``."""
    return isinstance(key, str) and _SECRET_KEY.search(key) is not None


def storable(config: DictConfig) -> dict[str, Any]:
    """Resolve a config into plain containers that may be stored, shown and sent.

    Environment values stay as the text of their interpolation, wherever they flow, so that OmegaConf loads
    the same values from the result again; literal values under secret-looking keys become ``***``.
    """
    with EnvironmentAsText() as environment:
        plain: dict[str, Any] = environment.plain(copy.deepcopy(config))
    secrets = {str(value) for value in _secret_leaves(plain)}
    return {key: _hide(value, key, secrets) for key, value in plain.items()}


def mask(text: str, config: DictConfig | Mapping[str, Any]) -> str:
    """Replace in free text (a log, a traceback, a report) every secret of `config` by ``***``."""
    return masker(config)(text)


def masker(config: DictConfig | Mapping[str, Any]) -> Callable[[str], str]:
    """Return `mask` for one config, whose secrets and environment values are looked up once."""
    found = sorted(_values(config), key=len, reverse=True)
    spelled = dict.fromkeys(spelling for value in found for spelling in _spellings(value))
    pattern = re.compile("|".join(map(re.escape, spelled))) if spelled else None

    def masked(text: str) -> str:
        text = pattern.sub(MASK, text) if pattern else text
        return _URL_PASSWORD.sub(rf"\1:{MASK}@", text)

    return masked


def escape_cell(text: str) -> str:
    """Return a CSV cell that no spreadsheet runs as a formula; plain numbers stay as they are.

    A quote is put before what starts like a formula, after the CSV injection page of OWASP:
    https://owasp.org/www-community/attacks/CSV_Injection. Separators and quotes are the csv module's work.
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def _values(config: DictConfig | Mapping[str, Any]) -> set[str]:
    """What must not be seen: values under secret-looking keys, and what is read from the environment."""
    tree = config if isinstance(config, DictConfig) else OmegaConf.create(dict(config))
    with EnvironmentAsText() as environment:
        plain = environment.plain(copy.deepcopy(tree))
    found = {str(value) for value in _secret_leaves(plain)} - {MASK}
    found = {value for value in found if len(value) >= SHORTEST_SECRET}
    for name in environment.names & set(os.environ):
        value = os.environ[name]
        if len(value) >= (SHORTEST_SECRET if is_secret(name) else SHORTEST_VALUE):
            found.add(value)
    return found


def _secret_leaves(value: Any, secret: bool = False) -> Iterator[str | int | float]:  # noqa: FBT001, FBT002
    """Literal texts and numbers that stand under a secret-looking key, at any depth."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _secret_leaves(item, secret or is_secret(key))
    elif isinstance(value, list):
        for item in value:
            yield from _secret_leaves(item, secret)
    elif secret and _can_be_secret(value):
        yield value


def _can_be_secret(value: Any) -> bool:
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return numeric or (isinstance(value, str) and value != "" and not isinstance(value, Unresolved))


def _hide(value: Any, key: object, secrets: set[str]) -> Any:
    """Mask secrets under `key` and wherever else they stand; spell the rest as OmegaConf reads it."""
    if isinstance(value, dict):
        return {name: _hide(item, key if is_secret(key) else name, secrets) for name, item in value.items()}
    if isinstance(value, list):
        return [_hide(item, key, secrets) for item in value]
    if isinstance(value, Unresolved):
        return str(value)
    if not _can_be_secret(value):
        return value
    if is_secret(key) or (len(str(value)) >= SHORTEST_SECRET and str(value) in secrets):
        return MASK
    return _hide_parts(value, secrets) if isinstance(value, str) else value


def _hide_parts(text: str, secrets: set[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):  # a short one may be part of a long one
        if len(secret) >= SHORTEST_PART:
            text = text.replace(secret, MASK)
    return literal(_URL_PASSWORD.sub(rf"\1:{MASK}@", text))


def _spellings(value: str) -> Iterator[str]:
    """A value as it is, and as JSON, `repr` and URLs spell it."""
    yield value
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]
    yield quote(value, safe="")
