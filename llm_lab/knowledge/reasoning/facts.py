"""Facts as arrays, each with how it came about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llm_lab.errors import DataError
from llm_lab.knowledge.rules.rule import Atom, Variable

Longs = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]
BASE = -1  # the rule of a fact that was given
SHIFT = 40  # a fact's number is its table's, shifted, and its row


@dataclass
class Rows:
    """Facts of one predicate, and how each was derived; rows are never changed, so that proofs stay true.

    Attributes:
        terms: [N, arity] numbers of names.
        confidence: [N].
        height: [N] of the proof; 0 of a given fact.
        rule: [N], -1 for a given fact.
        premises: [N, most] numbers of facts, -1 where there are fewer.
    """

    terms: Longs
    confidence: Doubles
    height: Longs
    rule: Longs
    premises: Longs

    def __len__(self) -> int:
        return len(self.terms)

    def take(self, rows: Longs) -> Rows:
        """The facts of these rows."""
        return Rows(*(values[rows] for values in vars(self).values()))

    def first(self, count: int) -> Rows:
        """The first so many, over the same memory."""
        return Rows(*(values[:count] for values in vars(self).values()))

    def roomier(self, room: int, most: int) -> Rows:
        """The same facts with room for more of them, and for so many premises."""
        premises = np.full((room, max(most, self.premises.shape[1])), -1, np.int64)
        premises[: len(self), : self.premises.shape[1]] = self.premises
        flat = [self.terms, self.confidence, self.height, self.rule]
        larger = [np.empty((room, *values.shape[1:]), values.dtype) for values in flat]
        for new, old in zip(larger, flat, strict=True):
            new[: len(old)] = old
        return Rows(*[*larger, premises])

    def put(self, begin: int, new: Rows) -> None:
        """Write facts over those from `begin` on; premises that they do not have stay as they are."""
        end = begin + len(new)
        for held, values in zip(vars(self).values(), vars(new).values(), strict=True):
            held[(slice(begin, end), *map(slice, values.shape[1:]))] = values


def given(terms: Longs, confidence: Doubles | None = None) -> Rows:
    """Base facts [N, arity]."""
    count = len(terms)
    certain = np.ones(count) if confidence is None else confidence
    nothing = np.zeros((count, 0), np.int64)
    return Rows(terms.astype(np.int64), certain, np.zeros(count, np.int64), np.full(count, BASE), nothing)


def together(parts: Sequence[Rows]) -> Rows:
    """All facts of several; what has fewer premises is filled up."""
    whole = parts[0].roomier(sum(map(len, parts)), max(part.premises.shape[1] for part in parts))
    begin = len(parts[0])
    for part in parts[1:]:
        whole.put(begin, part)
        begin += len(part)
    return whole


class Table:
    """The facts of a predicate; of several derivations of a fact the best is current.

    Arrays that were handed out are never written to, so that a round may go on over those it began with while what
    it finds is added.
    """

    def __init__(self, number: int, arity: int, room: int) -> None:
        self.number, self.arity, self.room = number, arity, room
        self._held = given(np.zeros((0, arity), np.int64))  # with room behind the last fact
        self._size = 0
        self.keys = np.zeros(0, np.int64)  # of the current facts, sorted
        self.current = np.zeros(0, np.int64)  # their rows

    def __len__(self) -> int:
        """Rows, those that are no longer current included."""
        return self._size

    @property
    def rows(self) -> Rows:
        """All facts, as they were added."""
        return self._held.first(self._size)

    def copy(self, room: int) -> Table:
        """The same facts, to be added to, over so many names."""
        twin = Table(self.number, self.arity, room)
        twin._held, twin._size, twin.current = self.rows, self._size, self.current
        twin.keys = twin.key(self.rows.terms[self.current])
        return twin

    def key(self, terms: Longs, columns: Sequence[int] | None = None) -> Longs:
        """One number for the terms of each row [N, arity], or for some of them."""
        keys = np.zeros(len(terms), np.int64)
        for column in range(terms.shape[1]) if columns is None else columns:
            keys = keys * self.room + terms[:, column]
        return keys

    def refs(self, rows: Longs) -> Longs:
        """Numbers of the facts of these rows."""
        return (np.int64(self.number) << SHIFT) + rows

    def best(self, new: Rows, *, shallow: bool) -> Rows:
        """The best candidate of each fact, in the order of the keys."""
        keys = self.key(new.terms)
        worth = (new.height, -new.confidence) if shallow else (-new.confidence, new.height)
        order = np.lexsort((worth[1], worth[0], keys))
        first = np.ones(len(order), bool)
        first[1:] = keys[order][1:] != keys[order][:-1]
        return new.take(order[first])

    def merge(self, new: Rows, *, shallow: bool) -> None:
        """Add what is new or better than what is there.

        Args:
            new: candidates, perhaps several of a fact.
            shallow: prefer the lower proof to the more confident one.
        """
        new = self.best(new, shallow=shallow)
        keys = self.key(new.terms)
        place = np.searchsorted(self.keys, keys)
        found = place < len(self.keys)
        found[found] = self.keys[place[found]] == keys[found]
        better = ~found
        old = self.rows.take(self.current[place[found]])
        better[found] = _better(new.take(np.flatnonzero(found)), old, shallow=shallow)
        rows = np.full(len(new), -1)
        rows[better] = self._append(new.take(np.flatnonzero(better)))
        self._insert(place[~found], keys[~found], rows[~found])
        place = place + np.cumsum(~found)  # as it is now, of what was there
        self.current[place[found & better]] = rows[found & better]

    def _append(self, new: Rows) -> Longs:
        """Write facts behind the others; gives their rows."""
        begin, end, most = self._size, self._size + len(new), new.premises.shape[1]
        if end > len(self._held) or most > self._held.premises.shape[1]:
            self._held = self.rows.roomier(max(end, 2 * begin), most)
        self._held.put(begin, new)
        self._size = end
        return np.arange(begin, end)

    def _insert(self, place: Longs, keys: Longs, rows: Longs) -> None:
        """Put facts among the current ones, before those of these places."""
        place = place + np.arange(len(place))
        stay = np.ones(len(self.keys) + len(keys), bool)
        stay[place] = False
        merged = []
        for old, new in ((self.keys, keys), (self.current, rows)):
            both = np.empty(len(stay), np.int64)
            both[stay], both[place] = old, new
            merged.append(both)
        self.keys, self.current = merged

    def since(self, size: int) -> Longs:
        """Rows of the current facts that were added when there were `size` rows."""
        return self.current[self.current >= size]

    def row(self, terms: Sequence[int]) -> int | None:
        """The current row of a fact, None where it is not there."""
        key = self.key(np.array([terms], np.int64).reshape(1, -1))[0]
        place = int(np.searchsorted(self.keys, key))
        return int(self.current[place]) if place < len(self.keys) and self.keys[place] == key else None

    def has(self, terms: Longs) -> npt.NDArray[np.bool_]:
        """Which of these facts are there."""
        keys = self.key(terms)
        place = np.minimum(np.searchsorted(self.keys, keys), max(len(self.keys) - 1, 0))
        return self.keys[place] == keys if len(self.keys) else np.zeros(len(keys), bool)


def _better(new: Rows, old: Rows, *, shallow: bool) -> npt.NDArray[np.bool_]:
    surer, sure = new.confidence > old.confidence, new.confidence == old.confidence
    lower, level = new.height < old.height, new.height == old.height
    return lower | (level & surer) if shallow else surer | (sure & lower)


class Facts:
    """Tables of facts by predicate, over numbered names.

    Args:
        names: that facts and rules speak of, in the order of their numbers.
        tables: predicate -> terms [N, arity].
        confidence: predicate -> [N], for facts that are not certain.
    """

    def __init__(
        self,
        names: Iterable[str],
        tables: Mapping[str, npt.NDArray[np.integer]],
        confidence: Mapping[str, Doubles] | None = None,
    ) -> None:
        self.names = list(names)
        self.numbers = {name: number for number, name in enumerate(self.names)}
        self.room = len(self.names) + 1
        self.tables: dict[str, Table] = {}
        for predicate, terms in tables.items():
            rows = given(np.asarray(terms, np.int64), (confidence or {}).get(predicate))
            self.table(predicate, terms.shape[1]).merge(rows, shallow=False)

    @classmethod
    def of(cls, atoms: Iterable[Atom], more: Iterable[Atom] = ()) -> Facts:
        """Facts of ground atoms; `more` atoms only lend their names.

        Raises:
            DataError: an atom has a variable in it.
        """
        atoms = list(atoms)
        if loose := next((atom for atom in atoms if atom.variables), None):
            raise DataError(f"{loose} is no fact: it has a variable")
        terms = [term for atom in (*atoms, *more) for term in atom.terms if not isinstance(term, Variable)]
        names = {name: number for number, name in enumerate(dict.fromkeys(terms))}
        rows: dict[str, list[list[int]]] = {}
        for atom in atoms:
            rows.setdefault(atom.predicate, []).append([names[str(term)] for term in atom.terms])
        return cls(names, {predicate: np.array(found, np.int64) for predicate, found in rows.items()})

    @classmethod
    def of_triples(
        cls, triples: npt.NDArray[np.integer], entities: Sequence[str], relations: Sequence[str]
    ) -> Facts:
        """Each triple [N, 3] as relation(head, tail)."""
        by_relation = {
            name: np.asarray(triples)[np.asarray(triples)[:, 1] == number][:, [0, 2]]
            for number, name in enumerate(relations)
        }
        return cls(entities, by_relation)

    def table(self, predicate: str, arity: int) -> Table:
        """The table of a predicate, made where it is not there.

        Raises:
            DataError: it has another number of terms.
        """
        table = self.tables.setdefault(predicate, Table(len(self.tables), arity, self.room))
        if table.arity != arity:
            raise DataError(f"{predicate!r} has {table.arity} terms elsewhere, and {arity} here")
        return table

    def number(self, name: str) -> int:
        """The number of a name; -1 for one that no fact has."""
        return self.numbers.get(name, -1)

    def atoms(self, predicate: str, *, highest: int | None = None) -> dict[Atom, float]:
        """Current facts of a predicate with their confidence, perhaps those only whose proof is not too high."""
        if predicate not in self.tables:
            return {}
        table = self.tables[predicate]
        rows = table.rows.take(table.current)
        if highest is not None:
            rows = rows.take(np.flatnonzero(rows.height <= highest))
        names = ([self.names[number] for number in row] for row in rows.terms.tolist())
        return {
            Atom(predicate, tuple(row)): sure
            for row, sure in zip(names, rows.confidence.tolist(), strict=True)
        }

    def copy(self, names: Iterable[str] = ()) -> Facts:
        """The same facts, to be added to, over more names."""
        twin = Facts(dict.fromkeys([*self.names, *names]), {})
        twin.tables = {predicate: table.copy(twin.room) for predicate, table in self.tables.items()}
        return twin
