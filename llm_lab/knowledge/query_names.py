"""Which entities and relations a query names, to warn of those that the graph does not have."""

from __future__ import annotations

import re

from llm_lab.knowledge.names import OURS, name_of
from llm_lab.knowledge.sparql import ASIDE, INSIDE

# Texts and comments are passed over, of addresses and local names the inside is taken.
_TERM = re.compile(
    rf"{ASIDE}|<(?P<address>{INSIDE})>|(?<![\w:?$-]):(?P<local>\w(?:[\w.-]*[\w-])?)", re.DOTALL
)
_MADE = re.compile(r"\bCONSTRUCT\s*\{[^{}]*\}", re.IGNORECASE)
_OTHER = re.compile(r"\bPREFIX\s+:", re.IGNORECASE)


def names_in(query: str) -> list[str]:
    """Identifiers that a query writes as `:x` or `<urn:kg:x>`, each once; what it constructs is left out."""
    found: dict[str, None] = {}
    ours = not _OTHER.search(query)  # else `:x` belongs to an address of the query's own
    for term in _TERM.finditer(_MADE.sub(" ", query)):
        address, local = term["address"] or "", term["local"]
        if address.startswith(OURS):
            found[name_of(address)] = None
        elif local and ours:
            found[name_of(OURS + local)] = None
    return list(found)
