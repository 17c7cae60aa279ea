"""Print the composed config, each value with the file and line, or the word, that set it."""

from __future__ import annotations

import sys
from typing import Any

from omegaconf import DictConfig, OmegaConf

from llm_lab.config.annotate import annotated, scalar
from llm_lab.config.check import faults_of
from llm_lab.config.compose import Composed, compose
from llm_lab.config.fault import FaultsError, report
from llm_lab.config.words import Words
from llm_lab.errors import ConfigError


def main(words: Words) -> int:
    """Print the config, and after it what is wrong with it; exit code 2 where something is.

    Raises:
        FaultsError: nothing could be composed.
        ConfigError: `--package` names no part of the config.
    """
    composed = compose(words.overrides, config_name=words.config_name, config_dir=words.config_dir)
    if not composed.config:
        raise FaultsError(faults=composed.faults)
    values, package = _values(composed, words)
    if isinstance(values, dict):
        print(annotated(values, composed.origins, prefix=package))
    else:
        print(scalar(values))
    faults = faults_of(composed)
    if faults:
        sys.stdout.flush()
        sys.stderr.write(f"\n{report(faults)}\n")
    return ConfigError.exit_code if faults else 0


def _values(composed: Composed, words: Words) -> tuple[Any, str]:
    """The plain values to show, and the key that they stand at; environment values stay hidden."""
    parted = [flag.lstrip("-").partition("=") for flag in words.hydra_flags]
    options = {name: value for name, _, value in parted}
    package = options.get("package", "").removeprefix("_global_")
    config = composed.config
    if "resolve" in options:
        from llm_lab.config.secrets import storable

        plain: Any = storable(_without_hydra(config))
    else:
        plain = OmegaConf.to_container(
            config if package.startswith("hydra") else _without_hydra(config), resolve=False
        )
    for part in package.split(".") if package else ():
        if not isinstance(plain, dict) or part not in plain:
            raise ConfigError(f"--package: there is no `{package}` in the config")
        plain = plain[part]
    return plain, package


def _without_hydra(config: DictConfig) -> DictConfig:
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
