"""Run an experiment, or a run, again, and say whether its figure holds."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from llm_lab.assets.digest import tree_digest
from llm_lab.assets.runs import finished
from llm_lab.config.nearest import did_you_mean
from llm_lab.config.words import Words
from llm_lab.errors import ConfigError, RunError
from llm_lab.launch.place import placed
from llm_lab.modes.run import CONFIG, FACTS, MODEL, read_state, stored_config
from llm_lab.tracking import formats

FIGURES = ("train/", "val/", "test/", "baseline/")
DIGITS = 6


def main(words: Words) -> int:
    """`llm_lab reproduce RUN|EXPERIMENT [key=value ...]`.

    Raises:
        RunError: the figure is out of tolerance.
        ConfigError: there is nothing to compare with, or no such run and no such experiment.
    """
    if placed() is not None:
        raise ConfigError("reproduce starts ranks by itself: no torchrun around it")
    name = words.positionals[0]
    if (Path(name) / CONFIG).is_file():
        if words.overrides:
            raise ConfigError(f"a run is reproduced as it was: without {' '.join(words.overrides)}")
        return _run_again(Path(name))
    return _experiment_again(name, words)


def _experiment_again(name: str, words: Words) -> int:
    """Train with each seed; compare the mean with the expected figure."""
    from llm_lab.modes.launch import launch
    from llm_lab.results.figures import experiments, names
    from llm_lab.sweeps.seeds import mean

    if name not in (known := names()):
        raise ConfigError(
            f"there is neither a run directory nor an experiment `{name}`; {did_you_mean(name, known)}"
        )
    (one,) = experiments([name])
    if not one.expected or not one.hashes:
        raise ConfigError(
            f"{name} is a sweep or says no expected figure, so there is nothing to compare with"
        )
    metric, values = str(one.expected["metric"]), dict[int, float]()
    for seed in one.hashes:
        own = (f"+experiment={name}", f"seed={seed}", *words.overrides)
        launch(dataclasses.replace(words, verb="train", positionals=(), overrides=own))
        values[seed] = _metrics(_newest(own))[metric]
    found = mean(list(values.values()))
    spread = f" ± {formats.number(found.half)}" if found.half is not None else ""
    each = ", ".join(f"{value:.{DIGITS}g} with seed {seed}" for seed, value in values.items())
    print(f"{name}: {metric} {formats.number(found.value)}{spread} ({each})")
    return _judge(name, one.expected, found.value)


def _newest(words: tuple[str, ...]) -> Path:
    from llm_lab.config.run_hash import run_hash_of

    if run := finished(run_hash_of(words)):
        return run
    raise RunError(f"no finished run in ./runs has the hash of {' '.join(words)}")


def _judge(name: str, expected: Mapping[str, Any], value: float) -> int:
    """Say whether a figure is as expected; raises RunError where it is worse."""
    from llm_lab.tracking.headline import verdict

    metric, wanted, tolerance = expected["metric"], expected["value"], expected.get("tolerance") or 0
    words = f"{metric} {value:.{DIGITS}g}, expected {wanted:g} ± {tolerance:g} ({expected.get('source', 'no source')})"
    told = verdict(expected, {metric: value})
    if told and told["kind"] == "met":
        better = " and better" if told["text"].startswith("better") else ""
        print(f"{name}: {'out of tolerance' + better if better else 'within tolerance'}: {words}")
        return 0
    raise RunError(f"{name}: out of tolerance: {words}")


def _run_again(run: Path) -> int:
    """Train the stored config once more, and compare figures and weights."""
    from llm_lab.launch.start import start
    from llm_lab.modes.quiet import log_to

    config, state = stored_config(run), read_state(run)
    before = _metrics(run)
    facts = {key: state[key] for key in FACTS if key in state}
    moment = datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S-%f")
    again = Path("runs", str(config.name), f"{moment}-{facts.get('hash', 'again')}").absolute()
    again.mkdir(parents=True, exist_ok=False)
    log_to(again)
    start(config, again, facts=facts)
    after = _metrics(again)
    differing = [key for key in sorted(before) if key.startswith(FIGURES) and before[key] != after.get(key)]
    same = _weights(run) == _weights(again)
    print(
        f"{again}: {len(differing) or 'no'} figures differ, the weights are {'' if same else 'not '}the same bits"
    )
    for key in differing:
        print(f"  {key}: {before[key]!r} then, {after.get(key)!r} now")
    for line in _changes(state, read_state(again)) if differing or not same else ():
        print(f"  {line}")
    expected = config.get("expected")
    if not differing:
        print(f"{run}: reproduced, bit for bit" if same else f"{run}: reproduced, all figures are equal")
        return 0
    if not expected or expected.metric not in before:
        raise RunError(f"{run}: not reproduced: its figures differ, and no tolerance is said")
    return _judge(
        str(run), {**expected, "value": before[expected.metric], "source": "that run"}, after[expected.metric]
    )


def _weights(run: Path) -> str:
    """Content hash of a run's weights, whatever files they lie in."""
    return " ".join(tree_digest(file) for file in sorted((run / MODEL).glob("*.safetensors")))


def _changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is not as it was, of code, packages, data and machine."""
    one, other = then.get("evidence") or {}, now.get("evidence") or {}
    flat = [{**facts, **(facts.get("packages") or {}), **(facts.get("git") or {})} for facts in (one, other)]
    skipped = {"started", "packages", "git", "words", "dirty", "branch"}
    return [
        f"{key}: {flat[0][key]} then, {flat[1].get(key)} now"
        for key in flat[0]
        if key not in skipped and flat[0][key] != flat[1].get(key)
    ]


def _metrics(run: Path) -> dict[str, Any]:
    file = run / "metrics.json"
    if not file.is_file():
        raise RunError(f"{run} has no metrics.json yet; `llm_lab resume {run}` finishes the run")
    return dict(json.loads(file.read_text(encoding="utf-8")))
