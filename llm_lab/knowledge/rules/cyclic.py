"""Cyclic rules, h(X,Y) <- a path from X to Y: which paths close a triple, and how often each path exists at all."""

from typing import NamedTuple

import numpy as np

from llm_lab.knowledge.rules.compiled import compiled
from llm_lab.knowledge.rules.grounding import LONGEST, path_ends, visited
from llm_lab.knowledge.rules.walks import Ints, Longs, Walks, inverse


class Tally(NamedTuple):
    """An open-addressing table of path codes, counted at most once per triple."""

    code: Longs  # -1 where free; the length is a power of two
    count: Longs  # type: ignore[assignment] # a name that tuples have too
    last: Longs  # the triple that counted it last


def empty_tally(bits: int) -> Tally:
    """Room for about 0.7 * 2^bits distinct paths; what comes after that is not counted."""
    return Tally(
        np.full(1 << bits, -1, np.int64), np.zeros(1 << bits, np.int64), np.full(1 << bits, -1, np.int64)
    )


@compiled
def count_once(tally: Tally, code: int, triple: int, held: int) -> int:
    """Counts a code for this triple; gives its slot where the code is new to the table, else -1."""
    mask = len(tally.code) - 1
    slot = ((code * 0x9E3779B97F4A7C1) >> 13) & mask
    while tally.code[slot] != code:
        if tally.code[slot] == -1:
            if held * 10 > mask * 7:
                return -1
            tally.code[slot] = code
            tally.count[slot] = 1
            tally.last[slot] = triple
            return slot
        slot = (slot + 1) & mask
    if tally.last[slot] != triple:
        tally.last[slot] = triple
        tally.count[slot] += 1
    return -1


@compiled
def link_back(walks: Walks, tail: int, first: Longs, seen: Longs, mark: int, following: Longs) -> None:
    """Chains the steps out of `tail` by their target, so that the last step of a path to `tail` is looked up."""
    begin = walks.start[tail]
    for at in range(begin, walks.start[tail + 1]):
        entity = walks.target[at]
        following[at - begin] = first[entity] if seen[entity] == mark else -1
        first[entity] = at
        seen[entity] = mark


@compiled
def closing_paths(walks: Walks, triples: Ints, length: int, tally: Tally, budget: int) -> None:
    """Counts, for each path of relations, the triples [N, 3] whose head it leads to their tail; needs length >= 1.

    Entities of a path differ, so that no path goes through the triple itself; for length 1 its own relation is left
    out. After `budget` steps a triple's search is cut off.
    """
    labels = 2 * walks.relations
    seen = np.full(len(walks.start) - 1, -1, np.int64)
    first = np.zeros(len(walks.start) - 1, np.int64)
    widest = 0
    for entity in range(len(walks.start) - 1):
        widest = max(widest, walks.start[entity + 1] - walks.start[entity])
    following = np.empty(widest + 1, np.int64)
    node = np.empty(LONGEST + 1, np.int32)
    at = np.empty(LONGEST + 1, np.int64)
    code = np.zeros(LONGEST + 1, np.int64)
    held = 0
    for triple in range(len(triples)):
        source, own, tail = triples[triple, 0], triples[triple, 1], triples[triple, 2]
        if source == tail:
            continue
        link_back(walks, tail, first, seen, triple, following)
        node[0], at[0], depth, taken = source, walks.start[source], 0, 0
        arrived = True
        while depth >= 0 and taken <= budget:
            entity = node[depth]
            if arrived and depth == length - 1 and seen[entity] == triple:
                last = first[entity]
                while last >= 0:
                    relation = inverse(walks.relation[last], walks.relations)
                    if length > 1 or relation != own:
                        held += count_once(tally, code[depth] * labels + relation, triple, held) >= 0
                    last = following[last - walks.start[tail]]
            arrived = False
            if depth == length - 1 or at[depth] >= walks.start[entity + 1]:
                depth -= 1
                continue
            step = at[depth]
            at[depth] += 1
            taken += 1
            target = walks.target[step]
            if visited(node, depth, target, tail):
                continue
            code[depth + 1] = code[depth] * labels + walks.relation[step]
            depth += 1
            node[depth], at[depth] = target, walks.start[target]
            arrived = True


@compiled
def body_sizes(
    walks: Walks, paths: Ints, source_start: Longs, sources: Ints, limits: Longs, budget: int, sizes: Longs
) -> None:
    """For each path [N, length] the number of distinct (X, Y) that it joins, written to `sizes` [N].

    `sources` lists entities by their first relation, shuffled. The count stops once it is above the path's limit;
    after `budget` steps the count of the sources seen so far is scaled to all.
    """
    entities = len(walks.start) - 1
    seen = np.full(entities, -1, np.int64)
    out = np.empty(entities, np.int32)
    mark = 0
    for rule in range(len(paths)):
        path = paths[rule]
        begin, end = source_start[path[0]], source_start[path[0] + 1]
        total, taken, done = 0, 0, 0
        while begin + done < end and taken <= budget and total <= limits[rule]:
            found, walked = path_ends(walks, path, sources[begin + done], -1, seen, mark, out, budget)
            mark += 1
            total += found
            taken += walked
            done += 1
        sizes[rule] = total * (end - begin) // done if taken > budget else total


def decode(codes: Longs, length: int, labels: int) -> Ints:
    """Paths [N, length] of their codes."""
    powers = labels ** np.arange(length - 1, -1, -1, dtype=np.int64)
    return (codes[:, None] // powers % labels).astype(np.int32)


def sources_of(walks: Walks, seed: int) -> tuple[Longs, Ints]:
    """Entities that have a relation, in random order, as (start [2 * relations + 1], entities)."""
    owner = np.repeat(np.arange(walks.entities, dtype=np.int64), np.diff(walks.start))
    pair = np.unique(walks.relation.astype(np.int64) * walks.entities + owner)
    pair = np.random.default_rng(seed).permutation(pair)
    label = pair // walks.entities
    start = np.zeros(2 * walks.relations + 1, np.int64)
    np.cumsum(np.bincount(label, minlength=2 * walks.relations), out=start[1:])
    return start, (pair[np.argsort(label, kind="stable")] % walks.entities).astype(np.int32)
