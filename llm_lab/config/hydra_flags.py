"""Hydra's own command-line flags, read by Hydra's own parser."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from hydra._internal.utils import get_args_parser

from llm_lab.config.nearest import did_you_mean
from llm_lab.errors import ConfigError

_SWITCHES = ("help", "hydra_help", "resolve", "run", "multirun", "shell_completion")
_VALUES = ("cfg", "package", "config_name", "config_dir", "info")


@dataclass(frozen=True, kw_only=True)
class HydraFlags:
    """What Hydra's parser saw: the flags to pass on, the overrides, and what our own code must know."""

    flags: list[str]
    overrides: list[str]
    config_name: str | None
    config_dir: str | None
    multirun: bool
    help: bool
    informs: bool
    completes: bool


def read(words: Sequence[str], *, own: Sequence[str] = (), shows: bool = False) -> HydraFlags:
    """Parse flags and overrides in any order.

    Args:
        words: the command line without our verb and flags.
        own: our flags of all verbs, to propose among Hydra's.
        shows: the verb prints a config, as `--cfg` does.

    Raises:
        ConfigError: an unknown flag, with the nearest one, or a flag that needs a value.
    """
    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign]
    args, unknown = parser.parse_known_intermixed_args(list(words))
    if unknown:
        known = [name for action in parser._actions for name in action.option_strings if name[:2] == "--"]  # noqa: SLF001
        raise ConfigError(f"`{unknown[0]}` is not a flag; {did_you_mean(unknown[0], [*known, *own])}")
    if args.experimental_rerun is not None:
        raise ConfigError(
            "`--experimental-rerun` reads a pickle and is refused; `resume RUN` goes on with a run"
        )
    if args.resolve and not (args.cfg or args.help or shows):
        raise ConfigError("`--resolve` goes with `--cfg` or `--help`")
    if sum(map(bool, (args.run, args.multirun, args.cfg, args.info, args.shell_completion))) > 1:
        raise ConfigError("only one of --run, --multirun, --cfg, --info and --shell-completion can be given")
    if args.config_path is not None:
        raise ConfigError(
            "`--config-path` would put other configs in the place of ours, past the check; "
            "`--config-dir DIR` adds configs, and LLM_LAB_CONF=DIR names another root"
        )
    flags = _spelled(args)
    informs = bool(args.cfg or args.info or args.hydra_help or args.shell_completion)
    return HydraFlags(
        flags=flags,
        overrides=list(args.overrides),
        config_name=args.config_name,
        config_dir=args.config_dir,
        multirun=bool(args.multirun),
        help=bool(args.help),
        informs=informs,
        completes=bool(args.shell_completion),
    )


def _spelled(args: argparse.Namespace) -> list[str]:
    """The flags in long form, values joined by `=`, so that no value is taken for an override."""
    flags = [f"--{name.replace('_', '-')}" for name in _SWITCHES if getattr(args, name)]
    given = {name: getattr(args, name) for name in _VALUES}
    return flags + [
        f"--{name.replace('_', '-')}={value}" for name, value in given.items() if value is not None
    ]


def _refuse(message: str) -> NoReturn:
    raise ConfigError(message)
