"""The facts of one record as quads, all of them or none."""

from __future__ import annotations

from collections.abc import Iterable

from pyoxigraph import Quad

from llm_lab.data.record import Rejected, UnusableError
from llm_lab.errors import DataError
from llm_lab.knowledge.fact import Fact, quads

UNUSABLE = "not a fact"


def said(facts: Iterable[Fact], *, file: str, line: int) -> list[Quad | Rejected]:
    """The quads of the facts that a record makes; a record with a fact that no graph can hold is rejected.

    Such are those with a blank node as a relation or a type, with a language that is no language tag, or with an
    identifier that could not be decoded.
    """
    try:
        return [quad for fact in facts for quad in quads(fact)]
    except UnusableError as error:
        return [Rejected(file, line, error.reason, error.detail)]
    except (DataError, ValueError) as error:
        return [Rejected(file, line, UNUSABLE, str(error))]
