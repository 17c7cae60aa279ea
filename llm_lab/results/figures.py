"""The figures of all experiments: each run's under its hash, so that none is measured twice."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from llm_lab.config.catalogue import EXPERIMENT, Entry, catalogue
from llm_lab.config.compose import compose
from llm_lab.config.fault import FaultsError
from llm_lab.config.nearest import did_you_mean
from llm_lab.config.run_hash import run_hash
from llm_lab.config.search_path import layers
from llm_lab.errors import ConfigError

SHORT = 4  # minutes up to which a run is measured with several seeds
SEEDS = 3
VERSIONS = ("llm-lab", "torch", "transformers", "pytorch-lightning")
Figure = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """An experiment as it is now, with the hash of its run for each seed; without any where it is a sweep."""

    entry: Entry
    data: str
    model: str
    expected: Mapping[str, Any]
    hashes: Mapping[int, str]

    @property
    def name(self) -> str:
        """What ``+experiment=`` takes."""
        return self.entry.name


def seeds_of(expected: Mapping[str, Any]) -> int:
    """How many seeds: three where a run takes four minutes or less, else one, unless the figure rests on more."""
    minutes = expected.get("minutes")
    quick = minutes is not None and minutes <= SHORT
    return max(int(expected.get("seeds") or 1), SEEDS if quick else 1)


def names() -> list[str]:
    """What ``+experiment=`` takes."""
    return [entry.name for entry in catalogue(layers()).get(EXPERIMENT, [])]


def experiments(wanted: Sequence[str] = ()) -> list[Experiment]:
    """The experiments of these names; without names all that compose, the others told on the terminal.

    Raises:
        ConfigError: there is no experiment of such a name.
        FaultsError: one that is named does not compose.
    """
    entries = {entry.name: entry for entry in catalogue(layers()).get(EXPERIMENT, [])}
    for name in wanted:
        if name not in entries:
            raise ConfigError(f"there is no experiment `{name}`; {did_you_mean(name, entries)}")
    found = []
    for name in wanted or entries:
        try:
            found.append(_experiment(entries[name]))
        except FaultsError as error:
            if wanted:
                raise
            sys.stderr.write(f"warning: {name} has no row: {error.faults[0]}\n")
    return found


def _experiment(entry: Entry) -> Experiment:
    composed = compose([f"+experiment={entry.name}"])
    if composed.faults:
        raise FaultsError(faults=composed.faults)
    config = composed.config
    choices: Any = OmegaConf.select(config, "hydra.runtime.choices") or {}
    expected: Any = OmegaConf.to_container(config.expected, resolve=True) if config.get("expected") else {}
    hashes, first = dict[int, str](), int(config.seed)
    if not OmegaConf.select(config, "hydra.sweeper.params"):
        for seed in range(first, first + seeds_of(expected)):
            config.seed = seed
            hashes[seed] = run_hash(config)
    data, model = (str(choices.get(group)) for group in ("data", "model"))
    return Experiment(entry=entry, data=data, model=model, expected=expected, hashes=hashes)


def figure_of(run: Path, *, name: str, seed: int, metric: str) -> dict[str, Any]:
    """What the table needs to know of a finished run."""
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    evidence = json.loads((run / "run.json").read_text(encoding="utf-8")).get("evidence") or {}
    short = metric.rpartition("/")[2]
    baselines = {
        key.split("/")[1]: value
        for key, value in metrics.items()
        if key.startswith("baseline/") and key.rpartition("/")[2] == short
    }
    return {
        "experiment": name,
        "seed": seed,
        "metric": metric,
        "value": metrics.get(metric),
        "low": metrics.get(f"{metric}_low"),
        "high": metrics.get(f"{metric}_high"),
        "baselines": baselines,
        "seconds": metrics.get("run/seconds"),
        "date": str(evidence.get("started", ""))[:10],
        "commit": (evidence.get("git") or {}).get("commit"),
        "machine": _machine(evidence),
        "versions": _versions(evidence),
    }


def _machine(evidence: Mapping[str, Any]) -> str:
    devices = [
        f"{evidence.get('cpu', 'unknown')} ({evidence.get('cores', '?')} cores)",
        *evidence.get("gpus", ()),
    ]
    return ", ".join(devices)


def _versions(evidence: Mapping[str, Any]) -> str:
    packages = evidence.get("packages") or {}
    found = [f"{name} {packages[name]}" for name in VERSIONS if name in packages]
    return ", ".join([f"Python {evidence.get('python', '?')}", *found])


def read(file: Path) -> dict[str, Figure]:
    """The figures by hash.

    Raises:
        ConfigError: the file holds something else.
    """
    if not file.is_file():
        return {}
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{file} does not hold figures by hash: {error}") from None


def missing(
    found: Sequence[Experiment], figures: Mapping[str, Figure]
) -> Iterator[tuple[Experiment, int, str]]:
    """Experiment, seed and hash of every run that has no figure yet."""
    for one in found:
        yield from ((one, seed, digest) for seed, digest in one.hashes.items() if digest not in figures)
