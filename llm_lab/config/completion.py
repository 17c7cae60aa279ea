"""Tab completion: Hydra's, which knows nothing of verbs, with the verb taken out of the line first."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

from llm_lab.config.words import VERBS

LINE = "COMP_LINE"  # bash, fish and zsh hand the typed line over in it


def prepare(environment: MutableMapping[str, str] | None = None) -> list[str]:
    """Rewrite the typed line for Hydra; return what completes a verb or a flag of ours being typed."""
    environment = os.environ if environment is None else environment
    program, *rest = environment.get(LINE, "").split(" ")
    if program.endswith(("python", "python3")) and rest[:2] == ["-m", "llm_lab"]:
        rest = rest[2:]
    words, typed = rest[:-1], rest[-1] if rest else ""
    words = [word for word in words if word]
    verb = words[0] if words and words[0] in VERBS else ""
    flags = VERBS[verb].flags if verb else {}
    kept = [word for word in words[1 if verb else 0 :] if "=" in word or word[:1] in "+~" or word in _HYDRA]
    environment[LINE] = " ".join(["llm_lab", *kept, typed if not typed.startswith("--") else ""])
    if typed.startswith("-"):
        return [flag for flag in flags if flag.startswith(typed)]
    return [name for name in VERBS if not words and "=" not in typed and name.startswith(typed)]


_HYDRA = ("--multirun", "-m")
