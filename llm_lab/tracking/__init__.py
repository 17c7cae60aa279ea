"""Trackers, the cost ledger, the evidence and the run report."""

from llm_lab.tracking.trackers import close_all

__all__ = ["close_all"]
