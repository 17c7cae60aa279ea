"""Tell everything that is wrong with a config, without starting anything."""

from __future__ import annotations

from llm_lab.config.run_hash import run_hash
from llm_lab.config.words import Words
from llm_lab.modes.launch import checked


def main(words: Words) -> int:
    """Print that all is right; raises FaultsError with all faults of the first stage that finds some."""
    deep = bool(words.flags.get("deep"))
    if words.chooses_pipeline:
        from llm_lab.modes.pipeline import checked as steps_checked

        for swept, steps in steps_checked(words, deep=deep):
            print(
                f"nothing wrong with {len(steps)} steps: {', '.join(one.name for one in steps)} {swept}".rstrip()
            )
        return 0
    found = checked(words, deep=deep)
    jobs = "" if len(found.jobs) == 1 else f" ({len(found.jobs)} jobs)"
    first = found.jobs[0].config
    print(f"nothing wrong with `{first.name}`{jobs}; its hash is {run_hash(first)}")
    return 0
