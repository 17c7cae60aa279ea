"""One rank of a run: ``python -m llm_lab.worker RUN``, started by the agent with torchrun's variables."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from pathlib import Path

ORPHANED = 30.0  # seconds that a rank without its agent may take to save a checkpoint


def main(directory: Path) -> int:
    """Train as one rank; what goes wrong is written for the agent, which tells the user once."""
    _end_with(os.getppid())
    from llm_lab.errors import Interrupted, LabError
    from llm_lab.launch.rank import work

    try:
        work(directory)
    except (Interrupted, KeyboardInterrupt) as stop:
        _tell(stop, str(stop))
        return Interrupted.exit_code
    except LabError as error:
        _tell(error, str(error))
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - whatever it is, the agent passes it on
        _tell(
            error, f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]} {_keep(error, directory)}"
        )
        return 1
    return 0


def _keep(error: Exception, directory: Path) -> str:
    """Append the traceback to the rank's log; says where that is."""
    from llm_lab.modes import failure

    path = directory / "logs" / f"rank-{os.environ.get('RANK', '0')}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(failure.masked.get()("".join(traceback.format_exception(error))))
    return f"(traceback in {path})"


def _tell(error: BaseException, line: str) -> None:
    """Write the end where the agent looks for it, as torch's own handler does, with the error's class and moment."""
    from llm_lab.launch.meeting import MOMENT
    from llm_lab.modes import failure

    moment = getattr(error, MOMENT, time.time())
    more = {"kind": type(error).__name__, "text": failure.masked.get()(line), "time": moment}
    if file := os.environ.get("TORCHELASTIC_ERROR_FILE"):
        message = {"message": line, "extraInfo": {"timestamp": str(int(time.time())), **more}}
        Path(file).write_text(json.dumps({"message": message}), encoding="utf-8")


def _end_with(parent: int) -> None:
    """Stop when the agent is gone, however it went: first as for a preemption, then by force."""

    def watch() -> None:
        import signal

        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(ORPHANED)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
