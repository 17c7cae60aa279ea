"""Bodies of rules matched against tables, many bindings at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llm_lab.knowledge.reasoning.facts import Facts, Longs, Table
from llm_lab.knowledge.rules.rule import Atom, Rule, Variable

SLICE = 1_000_000  # bindings that are held at a time
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Bindings:
    """Values of variables, a row for each way to match the atoms so far.

    Attributes:
        values: variable -> [N] numbers of names.
        premises: atom of the body -> [N] numbers of the facts that match it.
        count: N.
    """

    values: Mapping[Variable, Longs]
    premises: Mapping[int, Longs]
    count: int

    def take(self, rows: Longs | Mask) -> Bindings:
        """The bindings of these rows."""
        count = int(rows.sum()) if rows.dtype == bool else len(rows)
        return Bindings(
            {variable: values[rows] for variable, values in self.values.items()},
            {place: refs[rows] for place, refs in self.premises.items()},
            count,
        )


NOTHING_YET = Bindings({}, {}, 1)


def fitting(atom: Atom, table: Table, rows: Longs, facts: Facts) -> Longs:
    """Rows whose terms agree with the atom's constants and with variables that stand twice."""
    terms = table.rows.terms
    for column, term in enumerate(atom.terms):
        if not isinstance(term, Variable):
            rows = rows[terms[rows, column] == facts.number(term)]
        elif atom.terms.index(term) < column:
            rows = rows[terms[rows, column] == terms[rows, atom.terms.index(term)]]
    return rows


def matched(bindings: Bindings, place: int, atom: Atom, rows: Longs, facts: Facts) -> Iterator[Bindings]:
    """Bindings joined with the rows of an atom's table, in slices that fit into memory."""
    table = facts.table(atom.predicate, len(atom.terms))
    rows = fitting(atom, table, rows, facts)
    columns = {term: column for column, term in enumerate(atom.terms) if isinstance(term, Variable)}
    shared = [variable for variable in columns if variable in bindings.values]
    terms = table.rows.terms[rows]
    keys = table.key(terms, [columns[variable] for variable in shared])
    order = np.argsort(keys, kind="stable")
    keys, rows = keys[order], rows[order]
    asked = np.zeros(bindings.count, np.int64)
    for variable in shared:
        asked = asked * table.room + bindings.values[variable]
    low, high = np.searchsorted(keys, asked, "left"), np.searchsorted(keys, asked, "right")
    total = np.cumsum(high - low)
    at = 0
    while at < bindings.count and len(total) and total[-1]:
        before = int(total[at - 1]) if at else 0
        upto = max(at + 1, int(np.searchsorted(total, before + SLICE, "right")))
        counts = (high - low)[at:upto]
        left = np.repeat(np.arange(at, upto), counts)
        right = rows[
            np.repeat(low[at:upto] - (total[at:upto] - counts - before), counts) + np.arange(len(left))
        ]
        if len(left):
            part = bindings.take(left)
            new = {v: table.rows.terms[right, c] for v, c in columns.items() if v not in part.values}
            yield Bindings({**part.values, **new}, {**part.premises, place: table.refs(right)}, len(left))
        at = upto


def terms_of(atom: Atom, bindings: Bindings, facts: Facts) -> Longs:
    """The atom's terms under each binding, [N, arity]."""
    columns = [
        bindings.values[term] if isinstance(term, Variable) else np.full(bindings.count, facts.number(term))
        for term in atom.terms
    ]
    return np.stack(columns, axis=1) if columns else np.zeros((bindings.count, 0), np.int64)


def order_of(rule: Rule, first: int | None) -> list[int]:
    """Positive atoms in the order of their joins: each shares a variable with those before, where possible."""
    rest = [place for place, atom in enumerate(rule.body) if not atom.negated]
    order = list[int]()
    bound = frozenset[Variable]()
    while rest:
        linked = [place for place in rest if rule.body[place].variables & bound]
        constant = [place for place in rest if len(rule.body[place].variables) < len(rule.body[place].terms)]
        place = first if first in rest and not order else (linked or constant or rest)[0]
        assert place is not None  # noqa: S101
        order.append(place)
        rest.remove(place)
        bound |= rule.body[place].variables
    return order


def solve(
    rule: Rule,
    facts: Facts,
    *,
    changed: tuple[int, Longs] | None,
    tick: Callable[[], None],
) -> Iterator[Bindings]:
    """Every way in which the body holds.

    Args:
        rule: whose body it is.
        facts: tables; negated predicates are complete.
        changed: an atom of the body and the rows that it is to be matched with; None for all atoms with all rows.
        tick: called often; raises when the time is up.
    """
    first = changed[0] if changed else None
    sources = {
        place: facts.table(atom.predicate, len(atom.terms)).current for place, atom in enumerate(rule.body)
    } | (dict([changed]) if changed else {})
    yield from _rest(NOTHING_YET, order_of(rule, first), rule, sources, facts, tick)


def _rest(
    bindings: Bindings,
    order: Sequence[int],
    rule: Rule,
    sources: Mapping[int, Longs],
    facts: Facts,
    tick: Callable[[], None],
) -> Iterator[Bindings]:
    tick()
    if not order:
        yield filtered(bindings, rule, facts)
        return
    place, *rest = order
    for part in matched(bindings, place, rule.body[place], sources[place], facts):
        yield from _rest(part, rest, rule, sources, facts, tick)


def filtered(bindings: Bindings, rule: Rule, facts: Facts) -> Bindings:
    """Without those that bind two different variables alike or match a negated atom."""
    kept = np.ones(bindings.count, bool)
    for left, right in rule.different:
        kept &= bindings.values[left] != bindings.values[right]
    for atom in rule.body:
        if atom.negated:
            kept &= ~facts.table(atom.predicate, len(atom.terms)).has(terms_of(atom, bindings, facts))
    return bindings.take(kept)
