"""Bodies of rules matched against tables, many bindings at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llm_lab.knowledge.reasoning.facts import Facts, Longs, Table
from llm_lab.knowledge.rules.rule import Atom, Rule, Variable

SLICE = 250_000  # bindings that are held at a time
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


@dataclass(frozen=True)
class Side:
    """Rows of an atom's table, sorted by the terms of the variables that are bound before.

    Attributes:
        shared: these variables.
        keys: [N] numbers of their terms, ascending.
        rows: [N].
    """

    shared: Sequence[Variable]
    keys: Longs
    rows: Longs


def side(atom: Atom, rows: Longs, bound: Collection[Variable], facts: Facts) -> Side:
    """The rows that an atom may match, sorted for a join."""
    table = facts.table(atom.predicate, len(atom.terms))
    rows = fitting(atom, table, rows, facts)
    shared = [term for term in variables_of(atom) if term in bound]
    keys = table.key(table.rows.terms[rows], [atom.terms.index(variable) for variable in shared])
    order = np.argsort(keys, kind="stable")
    return Side(shared, keys[order], rows[order])


def variables_of(atom: Atom) -> list[Variable]:
    """In their order, each once."""
    return list(dict.fromkeys(term for term in atom.terms if isinstance(term, Variable)))


def matched(bindings: Bindings, place: int, atom: Atom, other: Side, facts: Facts) -> Iterator[Bindings]:
    """Bindings joined with the rows of an atom's table, in slices that fit into memory."""
    table = facts.table(atom.predicate, len(atom.terms))
    asked = np.zeros(bindings.count, np.int64)
    for variable in other.shared:
        asked = asked * table.room + bindings.values[variable]
    low, high = np.searchsorted(other.keys, asked, "left"), np.searchsorted(other.keys, asked, "right")
    upto = np.cumsum(high - low)
    new = [variable for variable in variables_of(atom) if variable not in other.shared]
    for begin in range(0, int(upto[-1]) if len(upto) else 0, SLICE):
        pairs = np.arange(begin, min(begin + SLICE, int(upto[-1])))
        left = np.searchsorted(upto, pairs, "right")
        right = other.rows[high[left] - (upto[left] - pairs)]
        part = bindings.take(left)
        values = {variable: table.rows.terms[right, atom.terms.index(variable)] for variable in new}
        yield Bindings({**part.values, **values}, {**part.premises, place: table.refs(right)}, len(left))


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
    current: Mapping[str, Longs],
    tick: Callable[[], None],
) -> Iterator[Bindings]:
    """Every way in which the body holds.

    Args:
        rule: whose body it is.
        facts: tables; negated predicates are complete.
        changed: an atom of the body and the rows that it is to be matched with; None for all atoms with all rows.
        current: predicate -> the rows that the other atoms are matched with.
        tick: called often; raises when the time is up.
    """
    sources = {place: current[atom.predicate] for place, atom in enumerate(rule.body)}
    order = order_of(rule, changed[0] if changed else None)
    sides = dict[int, Side]()  # sorted once, when the first bindings come to them
    sources |= dict([changed]) if changed else {}

    def rest(bindings: Bindings, depth: int) -> Iterator[Bindings]:
        tick()
        if depth == len(order):
            yield filtered(bindings, rule, facts)
            return
        place = order[depth]
        atom = rule.body[place]
        if place not in sides:
            sides[place] = side(atom, sources[place], bindings.values, facts)
        for part in matched(bindings, place, atom, sides[place], facts):
            yield from rest(part, depth + 1)

    yield from rest(NOTHING_YET, 0)


def filtered(bindings: Bindings, rule: Rule, facts: Facts) -> Bindings:
    """Without those that bind two different variables alike or match a negated atom."""
    kept = np.ones(bindings.count, bool)
    for left, right in rule.different:
        kept &= bindings.values[left] != bindings.values[right]
    for atom in rule.body:
        if atom.negated:
            kept &= ~facts.table(atom.predicate, len(atom.terms)).has(terms_of(atom, bindings, facts))
    return bindings.take(kept)
