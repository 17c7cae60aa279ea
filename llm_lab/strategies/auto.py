"""The default: Lightning chooses."""

from __future__ import annotations

from llm_lab.strategies.parallel import Parallel


class Auto(Parallel):
    """One process on the best device there is; DDP where the run has several."""

    def engine(self) -> str:
        """Lightning's own choice."""
        return "auto"
