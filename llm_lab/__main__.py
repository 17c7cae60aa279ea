"""`python -m llm_lab` and the console script `llm_lab`: words in, an exit code out."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from llm_lab.config.words import VERBS, Words, parse, verb_help
from llm_lab.errors import Interrupted, LabError
from llm_lab.launch.place import placed

TRAIN = ("train", "resume")
LIGHT = ("list", "show", "check", "schema")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 is success, 2 a wrong configuration, 130 Ctrl-C, 1 everything else that fails."""
    collects = gc.isenabled()
    gc.disable()  # a command that only looks at configs ends before a collection would pay
    try:
        return run(parse(sys.argv[1:] if argv is None else argv))
    except LabError as error:
        sys.stdout.flush()
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    except (KeyboardInterrupt, Interrupted) as stop:
        sys.stderr.write(f"{stop or 'interrupted'}\n")
        return Interrupted.exit_code
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - whatever it is, the user gets one line and the log the rest
        from llm_lab.modes.failure import report

        return report(error)
    finally:
        if collects:
            gc.enable()


def run(words: Words) -> int:
    """Hand the words to their verb; among several ranks that torchrun or Slurm started, rank 0 does."""
    if words.verb not in TRAIN:
        return 0 if _follows() else do(words)
    place = placed()
    if place is None:
        return do(words)
    from llm_lab.launch.rank import take_part

    return take_part(place, words, do)


def _follows() -> bool:
    """Whether another rank does the same; variables that make no sense are nothing to a process of its own."""
    try:
        place = placed()
    except LabError:
        return False
    return place is not None and place.rank > 0


def do(words: Words) -> int:
    """Run a verb, importing no more than it needs."""
    if words.verb == "train":
        from llm_lab.modes.launch import launch

        return launch(words)
    if words.help:
        sys.stdout.write(verb_help(words.verb))
        return 0
    if words.verb not in LIGHT:
        gc.enable()
    module = VERBS[words.verb].module or words.verb
    return int(import_module(f"llm_lab.modes.{module}").main(words) or 0)


if __name__ == "__main__":
    sys.exit(main())
