"""Sweeps in processes that can be killed: everything is imported once, each command is a fork.

Reads one JSON object a line, ``{"cwd": ..., "words": [...], "kill_after": seconds or null}``, and answers each
with the exit code (minus the signal where the process was killed) and the seconds it took.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time


def issue(cwd: str, words: list[str], kill_after: float | None) -> dict[str, float]:
    start, child = time.monotonic(), os.fork()
    if child == 0:
        from llm_lab.__main__ import main

        os.chdir(cwd)
        sys.stdout = sys.stderr
        os.dup2(sys.stderr.fileno(), 1)
        code = 1
        try:
            code = main(words)
        finally:
            os._exit(code)
    while kill_after is not None and time.monotonic() - start < kill_after:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            break
        time.sleep(0.005)
    if kill_after is not None:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return {"code": os.waitstatus_to_exitcode(status), "seconds": time.monotonic() - start}


def serve() -> None:
    import optuna  # noqa: F401
    from hydra.core.plugins import Plugins

    import llm_lab.data.text_classification
    import llm_lab.modes.train
    import llm_lab.sweeps.search
    import llm_lab.tasks.sequence_classification  # noqa: F401

    Plugins.instance()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(issue(**json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
