"""Rules as people read them: `h(X,Y) <= b(X,A), not c(A,Y), X != Y`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace

PLAIN = re.compile(r"[^\s(),\"!<=\\#]+")  # a name that needs no quotes
VARIABLE = re.compile(r"[A-Z][0-9]*")


@dataclass(frozen=True)
class Variable:
    """A capital letter, digits after it where letters do not suffice."""

    name: str

    def __str__(self) -> str:
        return self.name


Term = Variable | str


def quoted(name: str) -> str:
    """A name as it stands in a rule: in double quotes where it would be read as something else."""
    plain = PLAIN.fullmatch(name) and not VARIABLE.fullmatch(name) and name != "not"
    return name if plain else json.dumps(name, ensure_ascii=False)


@dataclass(frozen=True)
class Atom:
    """A predicate of one or two terms, perhaps negated."""

    predicate: str
    terms: tuple[Term, ...]
    negated: bool = False

    def __str__(self) -> str:
        terms = ",".join(str(term) if isinstance(term, Variable) else quoted(term) for term in self.terms)
        return f"{'not ' if self.negated else ''}{quoted(self.predicate)}({terms})"

    @property
    def variables(self) -> frozenset[Variable]:
        """The variables among the terms."""
        return frozenset(term for term in self.terms if isinstance(term, Variable))


@dataclass(frozen=True)
class Rule:
    """The head holds where all atoms of the body do and the pairs of variables differ.

    Attributes:
        head: never negated.
        body: empty for a fact, or for a rule that always speaks (`h(X,c) <=`).
        different: pairs of variables that may not be bound alike.
        confidence: of a soft rule; a hard rule has 1.
    """

    head: Atom
    body: tuple[Atom, ...] = ()
    different: tuple[tuple[Variable, Variable], ...] = ()
    confidence: float = 1.0

    def __str__(self) -> str:
        parts = [str(atom) for atom in self.body] + [f"{left} != {right}" for left, right in self.different]
        return f"{self.head} <= {', '.join(parts)}".rstrip()

    def hard(self) -> Rule:
        """The same rule without doubt."""
        return replace(self, confidence=1.0)
