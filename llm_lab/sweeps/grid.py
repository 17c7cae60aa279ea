"""Every combination of the values of a sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from llm_lab.config.secrets import masker
from llm_lab.sweeps.driver import open_sweep
from llm_lab.sweeps.objectives import objectives_of, seeds_of
from llm_lab.sweeps.record import Sweep
from llm_lab.sweeps.space import Axis, combinations, job_words, parse

if TYPE_CHECKING:
    from llm_lab.sweeps.context import Context


def grid(context: Context, arguments: list[str]) -> None:
    """Run every job of the grid that is missing.

    Raises:
        FaultsError: a job is wrong; nothing was started.
        RunError: jobs have failed.
    """
    fixed, axes = space_of(context, arguments)
    trials = list(combinations(axes))
    sweep = describe(context, fixed, axes, trials=len(trials))
    with open_sweep(context, sweep) as driver:
        for number, values in enumerate(trials):
            for seed in sweep.seeds or (None,):
                driver.add([*fixed, *job_words(axes, values)], trial=number, seed=seed)
        driver.save()
        driver.launch(sweep.jobs, at_once=context.settings["max_batch_size"])


def space_of(context: Context, arguments: list[str]) -> tuple[list[str], list[Axis]]:
    """The words that all jobs share, and what the others range over."""
    parser = OverridesParser.create(config_loader=context.hydra.config_loader)
    return parse(arguments, context.settings["params"] or {}, parser)


def describe(context: Context, fixed: list[str], axes: list[Axis], *, trials: int) -> Sweep:
    """What ``sweep.json`` says before the first job."""
    config = context.config
    mask = masker(config)
    return Sweep(
        name=str(config.name),
        words=tuple(mask(word) for word in fixed),
        objectives=objectives_of(config, context.settings),
        keys=tuple(axis.name for axis in axes),
        seeds=seeds_of(context.settings),
        trials=trials,
        on_failure=str(OmegaConf.select(config, "sweep.on_failure", default="skip")),
        retries=int(OmegaConf.select(config, "sweep.retries", default=0)),
    )
