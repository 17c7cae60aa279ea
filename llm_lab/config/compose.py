"""Compose a config from words: groups by Hydra, values by us, so that all faults can be told at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from hydra._internal.config_loader_impl import get_overrides_dirname
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from hydra.core.utils import JobRuntime, setup_globals
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from llm_lab.config import origins as origin
from llm_lab.config import values
from llm_lab.config.fault import Fault, Origin
from llm_lab.config.groups import Choice, as_hydra, compose_groups, is_choice, repair
from llm_lab.config.loader import RecordingLoader, open_loader
from llm_lab.config.resolvers import register
from llm_lab.config.search_path import ROOT_CONFIG, Layer, clashes, conf_root, layers

SEARCH_PATH = "hydra.searchpath"


@dataclass(kw_only=True)
class Composed:
    """A composed config with Hydra's node, the origin of every key, and what was wrong on the way.

    `overrides` are the words that make Hydra compose the same: as typed, but for a legal key that no file
    mentions, which Hydra wants with `++`, and relative `file://` paths, which become absolute.
    """

    config: DictConfig
    origins: dict[str, Origin] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    overrides: list[str] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)


def compose(
    words: Sequence[str],
    *,
    config_name: str | None = None,
    config_dir: str | None = None,
    root: Path | None = None,
    cwd: Path | None = None,
) -> Composed:
    """Compose one config (no sweep) from the words of the command line; never raises for a user's mistake.

    Args:
        words: overrides in Hydra's grammar.
        config_name: another root config than `config`.
        config_dir: a folder whose configs come first, as `--config-dir`.
        root: our own configs, by default those we ship.
        cwd: the folder whose `conf/` and `experiments/` are looked into.
    """
    setup_globals()
    register()
    _name_job()
    root = root or conf_root()
    found = layers(root=root, cwd=cwd)
    for plugins in (False, True):
        faults, asked, loader = clashes(found), set[str](), None
        try:
            loader = open_loader(root, found, config_dir=config_dir, plugins=plugins)
            asked = loader.repository.asked_plugins
            overrides = parse_words(words, loader, faults)
            composed = _compose(loader, config_name or ROOT_CONFIG, overrides, found, faults)
        except (HydraException, OmegaConfBaseException) as error:
            faults.append(_unforeseen(error))
            composed = Composed(config=OmegaConf.create({}), faults=faults, layers=found)
            if loader is not None:  # the files can still be looked through
                composed.origins = origin.collect(loader.defaults, loader.sources, found)
        if not asked:
            break
    return composed


def parse_words(words: Sequence[str], loader: RecordingLoader, faults: list[Fault]) -> list[Override]:
    """Parse each word by Hydra's grammar; a word that it cannot read becomes a fault."""
    parser, parsed = OverridesParser.create(config_loader=loader), list[Override]()
    for word in words:
        try:
            parsed += parser.parse_overrides([word])
        except HydraException as error:
            message = str(error).splitlines()[0]
            key = word.lstrip("+~").split("=")[0]
            faults.append(
                Fault(key=key, message=f"not an override: {message}", where=word, suggestion=_quoting(word))
            )
    return parsed


def _quoting(word: str) -> str:
    key, equals, value = word.partition("=")
    return (
        f"quote the value: {key}='\"{value}\"'"
        if equals and '"' not in value
        else "an override looks like `key=value`"
    )


def _compose(
    loader: RecordingLoader,
    config_name: str,
    overrides: list[Override],
    found: list[Layer],
    faults: list[Fault],
) -> Composed:
    single = [item for item in overrides if not _is_sweep(item, faults)]
    first = [item for item in single if item.key_or_group == SEARCH_PATH]
    loader.look_in(first[-1].value() if first else None, config_name)
    choosing = [item for item in single if is_choice(loader, item)]
    choices = [
        Choice(override=item, text=text) for item in choosing if (text := repair(loader, item, faults))
    ]
    config = compose_groups(loader, config_name, choices, [str(item.input_line) for item in first], faults)
    faults += loader.repository.faults
    composed = Composed(config=config, faults=faults, layers=found)
    composed.origins = origin.collect(loader.defaults, loader.sources, found)
    for item in single:
        chooses = any(item is other for other in choosing)
        composed.overrides.append(as_hydra(item) if chooses else values.set_value(loader, item, composed))
    _tell_hydra(composed)
    composed.faults = list(dict.fromkeys(composed.faults))
    return composed


def _is_sweep(override: Override, faults: list[Fault]) -> bool:
    if not override.is_sweep_override():
        return False
    key, value = override.key_or_group, str(override.input_line).partition("=")[2]
    hint = "add --multirun to sweep over it"
    if override.value_type == ValueType.SIMPLE_CHOICE_SWEEP:
        hint += f", or write {key}=[{value}] for a list, {key}='\"{value}\"' for a text"
    faults.append(
        Fault(
            key=key,
            message="several values, but only one run",
            where=str(override.input_line),
            suggestion=hint,
        )
    )
    return True


def _tell_hydra(composed: Composed) -> None:
    """Record the words in Hydra's node as Hydra does, and give the run its name for good."""
    config = composed.config
    passed = OverridesParser.create().parse_overrides(composed.overrides)
    app = [item for item in passed if not item.is_hydra_override()]
    node = config.hydra
    with open_dict(node):
        node.overrides.task = [str(item.input_line) for item in app]
        node.overrides.hydra = [str(item.input_line) for item in passed if item.is_hydra_override()]
        form = node.job.config.override_dirname
        node.job.override_dirname = get_overrides_dirname(
            overrides=app, kv_sep=form.kv_sep, item_sep=form.item_sep, exclude_keys=form.exclude_keys
        )
        for key in node.job.env_copy:
            if key in os.environ:
                node.job.env_set[key] = os.environ[key]
    if OmegaConf.is_interpolation(config, "name"):
        with suppress(OmegaConfBaseException):  # which the check tells
            config.name = config.name


def _unforeseen(error: Exception) -> Fault:
    """What Hydra or OmegaConf refuses and we did not foresee, in its own first line."""
    cause = error.__cause__ or error
    lines = [line for line in f"{error}\n{cause}".splitlines() if line.strip()]
    return Fault(key="", message=lines[0] if lines else type(error).__name__)


def _name_job() -> None:
    """Hydra's node wants the running application's name while it composes."""
    if not JobRuntime.instance().conf:
        JobRuntime.instance().set("name", Path(sys.argv[0]).stem)
