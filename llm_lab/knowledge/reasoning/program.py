"""A program of rules: checked before it runs, and cut into strata where there is negation."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import cached_property

from llm_lab.config.nearest import nearest
from llm_lab.errors import DataError
from llm_lab.knowledge.rules.rule import Rule


@dataclass(frozen=True)
class Program:
    """Rules, hard (confidence 1) and soft.

    Attributes:
        rules: in any order.
        closed: predicates of which all facts are known or derived, so that what is absent is false.
    """

    rules: tuple[Rule, ...]
    closed: Collection[str] = field(default_factory=frozenset)

    @property
    def derived(self) -> frozenset[str]:
        """Predicates that some rule concludes."""
        return frozenset(rule.head.predicate for rule in self.rules)

    @cached_property
    def strata(self) -> tuple[tuple[Rule, ...], ...]:
        """Rules in the order in which their heads can be completed: what is negated comes before.

        Raises:
            DataError: a predicate depends on its own negation.
        """
        level = dict.fromkeys(sorted(self.derived), 0)
        for _ in range(len(level) + 1):
            raised = [
                (rule, atom.predicate)
                for rule in self.rules
                for atom in rule.body
                if atom.predicate in level
                and level[rule.head.predicate] < level[atom.predicate] + int(atom.negated)
            ]
            if not raised:
                return self._levels(level)
            for rule, below in raised:
                negated = any(atom.negated and atom.predicate == below for atom in rule.body)
                level[rule.head.predicate] = max(level[rule.head.predicate], level[below] + int(negated))
        rule, _ = raised[0]
        raise DataError(f"not stratified: {rule.head.predicate!r} depends on its own negation, as in {rule}")

    def _levels(self, level: dict[str, int]) -> tuple[tuple[Rule, ...], ...]:
        numbers = sorted({level[rule.head.predicate] for rule in self.rules})
        return tuple(
            tuple(rule for rule in self.rules if level[rule.head.predicate] == number) for number in numbers
        )

    def check(self, known: Iterable[str]) -> None:
        """Refuse rules that cannot be run.

        Args:
            known: predicates that have facts.

        Raises:
            DataError: a variable that no positive atom binds, negation of an open predicate, a predicate that has
                neither facts nor rules, or one that depends on its own negation.
        """
        there = {*known, *self.derived, *self.closed}
        for rule in self.rules:
            _safe(rule)
            for atom in rule.body:
                if atom.negated and atom.predicate not in self.closed:
                    raise DataError(
                        f"{rule}: {atom.predicate!r} is not closed, so its absence says nothing; close it"
                    )
                if atom.predicate not in there:
                    near = nearest(atom.predicate, there)
                    hint = f"; nearest is {near!r}" if near else ""
                    raise DataError(f"{rule}: no fact and no rule has {atom.predicate!r}{hint}")
        _ = self.strata


def _safe(rule: Rule) -> None:
    bound = frozenset[object]().union(*(atom.variables for atom in rule.body if not atom.negated))
    wanted = rule.head.variables.union(
        *(atom.variables for atom in rule.body), *map(frozenset, rule.different)
    )
    if loose := sorted(str(variable) for variable in wanted - bound):
        raise DataError(f"{rule}: no positive atom of the body binds {', '.join(loose)}")
