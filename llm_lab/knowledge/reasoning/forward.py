"""Forward chaining: all that follows from facts by rules, round by round, until nothing new comes.

A round looks only at bodies that have something new in them (semi-naive evaluation; Abiteboul, Hull and Vianu 1995,
chapter 13). A fact's confidence is that of its best proof: the rule's confidence times those of its premises.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from time import monotonic

import numpy as np

from llm_lab.knowledge.reasoning.facts import SHIFT, Facts, Longs, Rows, together
from llm_lab.knowledge.reasoning.join import Bindings, solve, terms_of
from llm_lab.knowledge.reasoning.program import Program
from llm_lab.knowledge.rules.rule import Rule, Variable

BATCH = 250_000  # candidates that are added at a time: so long the clock is not looked at


@dataclass(frozen=True, kw_only=True)
class Derived:
    """What followed.

    Attributes:
        facts: given and derived.
        rules: those that the facts' derivations are numbered by.
        complete: whether there is nothing more; otherwise what is there holds, but more would follow.
        rounds: how many there were.
        reason: why it is not complete.
    """

    facts: Facts
    rules: tuple[Rule, ...]
    complete: bool
    rounds: int
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When to stop.

    Attributes:
        seconds: of wall time; what is under way then ends in about a second.
        facts: most facts, given ones and those that better proofs replaced included.
    """

    seconds: float = 60.0
    facts: int = 50_000_000


class _Stop(Exception):  # noqa: N818
    """A limit was reached; says which."""


def forward(program: Program, facts: Facts, limits: Limits | None = None) -> Derived:
    """The fixed point of a program over facts, or what was derived of it before a limit was reached.

    Negation asks for predicates that a stratum before has completed, so what a limit cuts off is never taken for
    false: the strata above are then not begun.

    Args:
        program: hard rules have confidence 1, soft ones less.
        facts: stay as they are.
        limits: of time and size.

    Raises:
        DataError: the program is not safe or not stratified, see `Program.check`.
    """
    program.check(facts.tables)
    return Run(program, facts, limits or Limits()).run()


class Run:
    """One evaluation.

    Args:
        program: see `forward`.
        facts: see `forward`.
        limits: see `forward`.
        guards: predicates that only say what is asked for: they lend proofs no height, doubt or premise.
        earlier: rules that facts were derived by before.
        depth: highest proof that is followed; None for any.
        shallow: keep the lowest proof of a fact, not the most confident.
    """

    def __init__(
        self,
        program: Program,
        facts: Facts,
        limits: Limits,
        *,
        guards: Collection[str] = (),
        earlier: tuple[Rule, ...] = (),
        depth: int | None = None,
        shallow: bool = False,
    ) -> None:
        self.program, self.limits, self.guards, self.earlier = program, limits, guards, earlier
        self.depth, self.shallow, self.cut = depth, shallow, False
        self.rules = tuple(rule for stratum in program.strata for rule in stratum)
        atoms = [atom for rule in self.rules for atom in (rule.head, *rule.body)]
        names = [term for atom in atoms for term in atom.terms if not isinstance(term, Variable)]
        self.facts = facts.copy(names)
        for atom in atoms:
            self.facts.table(atom.predicate, len(atom.terms))
        self.by_number = list(self.facts.tables.values())
        self.deadline = monotonic() + limits.seconds
        self.rounds = 0
        self.waiting: list[tuple[str, Rows]] = []

    def tick(self) -> None:
        """Stop where the time is up."""
        if monotonic() > self.deadline:
            raise _Stop(f"the time of {self.limits.seconds:.3g} s was up")

    def run(self) -> Derived:
        """All strata, one after the other."""
        reason, begin = "", len(self.earlier)
        try:
            for stratum in self.program.strata:
                self._stratum(stratum, begin)
                begin += len(stratum)
        except _Stop as stop:
            reason = str(stop)
        if self.cut and not reason:
            reason = f"proofs higher than {self.depth} were not followed"
        return Derived(
            facts=self.facts,
            rules=(*self.earlier, *map(self._plain, self.rules)),
            complete=not reason,
            rounds=self.rounds,
            reason=reason,
        )

    def _plain(self, rule: Rule) -> Rule:
        return replace(rule, body=tuple(atom for atom in rule.body if atom.predicate not in self.guards))

    def _stratum(self, rules: tuple[Rule, ...], begin: int) -> None:
        changed: dict[str, Longs] | None = None
        while changed is None or changed:
            self.rounds += 1
            tables = self.facts.tables
            sizes = {predicate: len(table) for predicate, table in tables.items()}
            current = {predicate: table.current for predicate, table in tables.items()}
            try:
                for number, rule in enumerate(rules, begin):
                    for rows in self._conclusions(number, rule, changed, current):
                        self._collect(rule.head.predicate, rows)
            finally:
                self._merge()
            added = {predicate: table.since(sizes[predicate]) for predicate, table in tables.items()}
            changed = {predicate: rows for predicate, rows in added.items() if len(rows)}

    def _collect(self, predicate: str, rows: Rows) -> None:
        """Take candidates; they are added in batches, so that no step is long and what is found again takes no room."""
        self.waiting.append((predicate, rows))
        waiting, there = sum(len(rows) for _, rows in self.waiting), sum(map(len, self.by_number))
        if waiting < BATCH and there + waiting <= self.limits.facts:
            return
        self._merge()
        if sum(map(len, self.by_number)) > self.limits.facts:
            raise _Stop(f"there are more than {self.limits.facts} facts")

    def _merge(self) -> None:
        found: dict[str, list[Rows]] = {}
        for predicate, rows in self.waiting:
            found.setdefault(predicate, []).append(rows)
        self.waiting.clear()
        for predicate, parts in found.items():
            self.facts.tables[predicate].merge(together(parts), shallow=self.shallow)

    def _conclusions(
        self, number: int, rule: Rule, changed: dict[str, Longs] | None, current: Mapping[str, Longs]
    ) -> Iterator[Rows]:
        news: list[tuple[int, Longs] | None] = [None]
        if changed is not None:
            news = [
                (place, changed[atom.predicate])
                for place, atom in enumerate(rule.body)
                if not atom.negated and atom.predicate in changed
            ]
        for new in news:
            for bindings in solve(rule, self.facts, changed=new, current=current, tick=self.tick):
                if bindings.count:
                    yield self._concluded(number, rule, bindings)

    def _concluded(self, number: int, rule: Rule, bindings: Bindings) -> Rows:
        sure, height = np.full(bindings.count, rule.confidence), np.zeros(bindings.count, np.int64)
        premises = []
        if rule.head.predicate not in self.guards:
            places = [
                place for place in sorted(bindings.premises) if rule.body[place].predicate not in self.guards
            ]
            premises = [bindings.premises[place] for place in places]
            for place in places:
                rows = self.facts.tables[rule.body[place].predicate].rows
                at = bindings.premises[place] & ((1 << SHIFT) - 1)
                sure = sure * rows.confidence[at]
                height = np.maximum(height, rows.height[at])
            height = height + 1
        refs = np.stack(premises, axis=1) if premises else np.zeros((bindings.count, 0), np.int64)
        made_by = np.full(bindings.count, number)
        rows = Rows(terms_of(rule.head, bindings, self.facts), sure, height, made_by, refs)
        if self.depth is None or not (high := height > self.depth).any():
            return rows
        self.cut = True
        return rows.take(np.flatnonzero(~high))
