"""Which types of entities there are: in the training rows, or as they are listed."""

from __future__ import annotations

import json
from collections.abc import Sequence

from llm_lab.data.staging import Staging
from llm_lab.data.tags import parts
from llm_lab.errors import DataError

Places = dict[str, dict[str, str]]
"""Split -> type of entity -> where it first stands."""


def places_of(staging: Staging) -> Places:
    """Where each type of entity first stands in each split, whatever a limit leaves of it."""
    found: Places = {}
    rows = staging.execute(
        "SELECT split, label, content FROM row JOIN body USING (id) WHERE fate IS NULL OR fate = 'limit'"
    )
    for split, label, content in rows:
        known = found.setdefault(split, {})
        for kind in {parts(tag)[1] for tag in json.loads(label)} - {"", *known}:
            known[kind] = json.loads(content)["place"]
    return found


def kinds_of(places: Places, listed: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Types of entities in the order of the outputs, and what is odd about them.

    Raises:
        DataError: a type that training lacks stands in another split, and the configuration does not list it.
    """
    trained = places.get("train", {})
    others = {kind: place for split in ("val", "test") for kind, place in places.get(split, {}).items()}
    if listed is not None:
        missing = [kind for kind in listed if trained and kind not in trained]
        return list(listed), [f"no training sentence has a `{kind}`" for kind in missing]
    unseen = [f"`{kind}` ({place})" for kind, place in others.items() if kind not in trained]
    if trained and unseen:
        raise DataError(
            f"no training sentence has {', '.join(unseen)}; data.labels lists what may be missing"
        )
    if not trained | others:
        raise DataError(
            "no word is tagged as part of an entity: there is nothing to learn; see data.columns.tags"
        )
    return sorted(trained | others), []
