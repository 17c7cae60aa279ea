"""The way into Hydra: check everything first, then let Hydra run the job, or the jobs of a sweep."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from omegaconf import OmegaConf

from llm_lab.config.words import Words
from llm_lab.errors import ConfigError

SPACE = "hydra.sweeper.params"

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from llm_lab.config.sweep import Plan


def launch(words: Words) -> int:
    """Check the words and run them through Hydra; returns 0, and raises what went wrong."""
    from llm_lab.config.recall import remembering

    if "--shell-completion" in words.hydra_flags:
        return _complete(words)
    if words.hydra_flags == ("--help",) and not words.overrides:
        from llm_lab.modes.help import main

        return main()
    if words.chooses_pipeline and not (words.help or words.informs):
        from llm_lab.modes.pipeline import pipeline

        gc.enable()
        return pipeline(words)
    found = checked(words, deep=not (words.help or words.informs))
    gc.enable()
    if not (found.multirun or words.help or words.informs) and OmegaConf.select(found.jobs[0].config, SPACE):
        sys.stderr.write(f"note: one run only; `--multirun` runs the sweep that {SPACE} describes\n")
    with remembering(found.jobs if found.multirun else ()):
        _hydra([*words.hydra_flags, *found.overrides], words.config_name, many=found.multirun)
    return 0


def checked(words: Words, *, deep: bool) -> Plan:
    """Every job that the words stand for; raises FaultsError with all faults of the first stage at fault.

    Args:
        words: the command line.
        deep: import what the configs name as well, and fit the arguments.
    """
    from llm_lab.config.check import faults_of
    from llm_lab.config.fault import FaultsError
    from llm_lab.config.sweep import plan

    found = plan(
        words.overrides, multirun=words.multirun, config_name=words.config_name, config_dir=words.config_dir
    )
    faults = [*found.faults, *(fault for job in found.jobs for fault in faults_of(job))]
    if found.multirun and found.jobs and found.jobs[0].config:
        from llm_lab.sweeps.check import sweep_faults

        faults += sweep_faults(found.jobs[0].config, found.swept)
    if not faults and deep:
        from llm_lab.config.deep import deep_faults

        faults = [fault for job in found.jobs for fault in deep_faults(job.config, job.origins)]
    if faults:
        raise FaultsError(faults=list(dict.fromkeys(faults)))
    return found


def _hydra(argv: Sequence[str], config_name: str | None, *, many: bool = False) -> None:
    """Run Hydra's own main with these words; what the job raises reaches our caller as it is."""
    import hydra

    from llm_lab.config.loader import VERSION_BASE
    from llm_lab.config.search_path import ROOT_CONFIG, conf_root

    failures: list[Exception] = []
    decorate = hydra.main(
        version_base=VERSION_BASE, config_path=str(conf_root()), config_name=config_name or ROOT_CONFIG
    )
    typed, full = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # else Hydra prints the traceback and exits by itself
    sys.argv = [typed[0], *argv]
    try:
        decorate(_job(failures, many=many))()
    finally:
        sys.argv = typed
        os.environ.pop("HYDRA_FULL_ERROR")
        if full is not None:
            os.environ["HYDRA_FULL_ERROR"] = full
    if failures:
        raise failures[0]


def _job(failures: list[Exception], *, many: bool) -> Callable[[DictConfig], float | None]:
    """The job as Hydra calls it; a single job's failure is kept for us: Hydra would print its own line."""
    from llm_lab.modes.job import job

    if many:
        return job

    def single(config: DictConfig) -> float | None:
        try:
            return job(config)
        except Exception as error:  # noqa: BLE001 - raised again by our caller
            failures.append(error)
            return None

    single.__module__ = job.__module__
    return single


def _complete(words: Words) -> int:
    """Let Hydra answer the shell; the verbs are ours to add."""
    from llm_lab.config.completion import prepare

    if not any(word.startswith("query") for word in words.overrides):
        _hydra([*words.hydra_flags, *words.overrides], words.config_name)
        return 0
    own = prepare()
    if own:
        sys.stdout.write(f"{' '.join(own)} ")
    try:
        _hydra([*words.hydra_flags, *words.overrides], words.config_name)
    except SystemExit:
        raise
    except Exception as error:
        raise ConfigError(f"nothing completes this line: {error}") from error
    return 0
