"""Early stopping by ASHA, replayed on the recorded learning curves of a whole grid of 20 short SST-2 jobs.

Each replay draws another order of the jobs and gives Optuna's own pruner, set up as a sweep does it, the recorded
validations one by one; what it stops is not trained further. Jobs run one after the other: of equally fast jobs any
number at a time reaches each rung in the same order, and so gives the same. Beside it stands what costs the same
without any pruning: whole jobs, drawn at random.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import optuna
import yaml
from optuna.trial import Trial, TrialState

from llm_lab.bench.report import save, show
from llm_lab.config.search_path import conf_root
from llm_lab.sweeps.options import PARTS
from llm_lab.sweeps.samplers import pruner_of

CURVES = Path(__file__).parent / "data" / "asha_sst2.json"
QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 1.0)
BINS = (0.0, 0.1, 0.3, 0.5, 1.0, 2.0, 5.0)  # points
BAR = 40  # characters


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The recorded jobs of one training seed.

    Attributes:
        parts: how far each validation was, in parts of a run as the pruner counts them.
        curves: validation accuracy of each job at each of them; the last one is what jobs are compared by.
        tested: test accuracy of each job, of the same weights as its last validation.
    """

    parts: tuple[int, ...]
    curves: tuple[tuple[float, ...], ...]
    tested: tuple[float, ...]

    @property
    def best(self) -> int:
        """The job with the best last validation."""
        return max(range(len(self.curves)), key=lambda job: self.curves[job][-1])


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a sweep has come to.

    Attributes:
        gap: points of validation accuracy between its choice and the grid's best.
        tested: the same of test accuracy; below 0 where the choice is the better one.
        share: of the grid's training steps that it took.
    """

    gap: float
    tested: float
    share: float


def main(words: Sequence[str] = ()) -> None:
    """Replay, print the distribution, write the JSON."""
    options = parse(words)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if options.record:
        from llm_lab.bench.asha_record import record

        print(f"curves: {record(options.record, options.training_seeds)}")
    recorded = json.loads((options.record or options.curves).read_text(encoding="utf-8"))
    settings = {"prune_from": options.prune_from, "reduction": options.reduction}
    found = {seed: outcomes(grid, settings, options) for seed, grid in grids(recorded).items()}
    pooled = [one for those in found.values() for one in those]
    whole = [
        one for grid in grids(recorded).values() for one in unpruned(grid, fmean(o.share for o in pooled))
    ]
    print(f"{recorded['about']}\n{recorded['date']}, {recorded['versions']}\n")
    title = f"ASHA {settings}, {len(pooled)} replays"
    show(title, ("", "mean", *(f"{share:.0%}" for share in QUANTILES)), table(pooled, whole))
    show("means by training seed", ("seed", "gap, validation", "gap, test", "share, %"), by_seed(found))
    for name, gaps in (("test", [one.tested for one in pooled]), ("validation", [one.gap for one in pooled])):
        show(f"gap to the grid's best in {name} accuracy", ("points", "replays", ""), histogram(gaps))
    raw = {"settings": settings}
    raw |= {"outcomes": {seed: [vars(one) for one in those] for seed, those in found.items()}}
    print(f"figures: {save('asha', raw, options.json)}")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the options of this benchmark; the pruner's are those that a sweep has by default."""
    shipped = yaml.safe_load((conf_root() / "hydra" / "sweeper" / "optuna.yaml").read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(prog="python -m llm_lab.bench asha", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--json", type=Path, help="where to write the figures; a file in the cache without it"
    )
    parser.add_argument("--curves", type=Path, default=CURVES, help="recorded learning curves")
    parser.add_argument("--record", type=Path, help="train the whole grid anew, and write its curves here")
    parser.add_argument("--training-seeds", type=int, nargs="+", default=[1], help="to record")
    parser.add_argument("--replays", type=int, default=500, help="orders of the jobs")
    parser.add_argument("--prune-from", type=float, default=shipped["prune_from"])
    parser.add_argument("--reduction", type=int, default=shipped["reduction"])
    return parser.parse_args(list(words))


def grids(recorded: Mapping[str, Any]) -> dict[str, Grid]:
    """The recorded grids, one for each training seed."""
    steps = recorded["steps"]
    return {
        seed: Grid(
            parts=tuple(round(PARTS * step / steps[-1]) for step in steps),
            curves=tuple(tuple(job["curve"]) for job in jobs),
            tested=tuple(job["test"] for job in jobs),
        )
        for seed, jobs in recorded["grids"].items()
    }


def outcomes(grid: Grid, settings: Mapping[str, Any], options: argparse.Namespace) -> list[Outcome]:
    """Replay the sweep in many orders."""
    return [
        replay(grid, settings, random.Random(seed))  # noqa: S311 - no secret
        for seed in range(options.replays)
    ]


def replay(grid: Grid, settings: Mapping[str, Any], chance: random.Random) -> Outcome:
    """Run the jobs in a random order against a pruner."""
    study = optuna.create_study(direction="maximize", pruner=pruner_of("asha", settings))
    finished, validations = list[int](), 0
    for job in chance.sample(range(len(grid.curves)), len(grid.curves)):
        done = trained(grid, job, study.ask())
        validations += done
        if done == len(grid.parts):
            study.tell(study.trials[-1].number, grid.curves[job][-1])
            finished.append(job)
        else:
            study.tell(study.trials[-1].number, state=TrialState.PRUNED)
    return outcome(grid, finished, validations / (len(grid.curves) * len(grid.parts)))


def trained(grid: Grid, job: int, trial: Trial) -> int:
    """Train a job until the pruner ends it; how many validations that took."""
    for place, part in enumerate(grid.parts[:-1]):
        if out(trial, grid.curves[job][place], part):
            return place + 1
    return len(grid.parts)


def out(trial: Trial, value: float, part: int) -> bool:
    """Report a validation; whether the trial is to end."""
    trial.report(value, part)
    return trial.should_prune()


def unpruned(grid: Grid, share: float, *, draws: int = 500) -> list[Outcome]:
    """Train whole jobs, drawn at random, for as many steps."""
    count = max(1, round(share * len(grid.curves)))
    drawn = (random.Random(seed).sample(range(len(grid.curves)), count) for seed in range(draws))  # noqa: S311
    return [outcome(grid, jobs, count / len(grid.curves)) for jobs in drawn]


def outcome(grid: Grid, finished: Sequence[int], share: float) -> Outcome:
    """Choose the best of the finished jobs, and compare it with the best of all."""
    choice, best = max(finished, key=lambda job: grid.curves[job][-1]), grid.best
    return Outcome(
        gap=100 * (grid.curves[best][-1] - grid.curves[choice][-1]),
        tested=100 * (grid.tested[best] - grid.tested[choice]),
        share=share,
    )


def table(pooled: Sequence[Outcome], whole: Sequence[Outcome]) -> list[list[str]]:
    """The distributions as lines of the table."""
    lines = {
        "gap, validation, points": [one.gap for one in pooled],
        "gap, test, points": [one.tested for one in pooled],
        "share of the steps, %": [100 * one.share for one in pooled],
        "random jobs, as many steps: gap, validation": [one.gap for one in whole],
        "random jobs, as many steps: gap, test": [one.tested for one in whole],
    }
    return [
        [name, f"{fmean(column):.3f}", *(f"{quantile(column, share):.2f}" for share in QUANTILES)]
        for name, column in lines.items()
    ]


def by_seed(found: Mapping[str, Sequence[Outcome]]) -> list[list[str]]:
    """The means for each training seed."""
    return [
        [seed, *(f"{fmean(column):.3f}" for column in zip(*map(_figures, those), strict=True))]
        for seed, those in found.items()
    ]


def _figures(one: Outcome) -> tuple[float, float, float]:
    return one.gap, one.tested, 100 * one.share


def quantile(column: Sequence[float], share: float) -> float:
    """The value below which a share of the column lies."""
    return sorted(column)[round(share * (len(column) - 1))]


def histogram(gaps: Sequence[float]) -> list[list[str]]:
    """How many replays ended how far from the best."""
    counts = {"below 0": sum(gap < 0 for gap in gaps), "0": sum(gap == 0 for gap in gaps)}
    for low, high in zip(BINS, (*BINS[1:], float("inf")), strict=True):
        name = f"over {low:g}, to {high:g}" if high < float("inf") else f"over {low:g}"
        counts[name] = sum(low < gap <= high for gap in gaps)
    most = max(counts.values())
    return [[name, str(count), "█" * round(BAR * count / most)] for name, count in counts.items()]
