"""Go on with a run that was stopped, killed or interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llm_lab.config.words import Words
from llm_lab.modes.quiet import log_to
from llm_lab.modes.run import FACTS, read_state, stored_config


def resume(directory: Path) -> int:
    """Continue the run in ``directory`` from its newest checkpoint; a finished run is left as it is.

    Raises:
        RunError: not a run directory, or another process is working in it.
    """
    config, state = stored_config(directory), read_state(directory)
    if state.get("state") == "finished":
        print(f"{directory} is finished; its figures are in {directory / 'metrics.json'}")
        return 0
    from llm_lab.launch.start import start

    log_to(directory)
    facts: dict[str, Any] = {key: state[key] for key in FACTS if key in state}
    start(config, directory, facts=facts)
    return 0


def main(words: Words) -> int:
    """`llm_lab resume RUN`."""
    return resume(Path(words.positionals[0]))
