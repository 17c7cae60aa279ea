"""Rules with constants, h(X,c) <- a path from X to d, or to anything: what the heads of (?, h, c) have in common."""

import numpy as np

from llm_lab.knowledge.rules.compiled import compiled
from llm_lab.knowledge.rules.cyclic import Tally, count_once
from llm_lab.knowledge.rules.grounding import LONGEST, path_ends, visited
from llm_lab.knowledge.rules.walks import Ints, Longs, Walks, inverse, steps


@compiled
def count_features(
    walks: Walks,
    source: int,
    own: int,
    avoided: int,
    length: int,
    mark: int,
    tally: Tally,
    used: Longs,
    held: int,
) -> int:
    """Counts every (path of `length` steps, its end) of one entity once; for one step, also the path with an open end.

    A feature's code is path * (entities + 1) + end + 1, where 0 stands for an open end and a path's digits follow a
    leading 1. Paths avoid the head's constant before their end; the head's own triple never counts. `used` lists the
    table's slots that are taken; gives how many.
    """
    labels = 2 * walks.relations
    room = len(walks.start)
    node = np.empty(LONGEST + 1, np.int32)
    at = np.empty(LONGEST + 1, np.int64)
    code = np.ones(LONGEST + 1, np.int64)
    node[0], at[0], depth = source, walks.start[source], 0
    while depth >= 0:
        if at[depth] >= walks.start[node[depth] + 1]:
            depth -= 1
            continue
        step = at[depth]
        at[depth] += 1
        target = walks.target[step]
        last = depth == length - 1
        itself = target == avoided and (not last or (length == 1 and walks.relation[step] == own))
        if itself or visited(node, depth, target, -1):
            continue
        path = code[depth] * labels + walks.relation[step]
        if not last:
            depth += 1
            node[depth], at[depth], code[depth] = target, walks.start[target], path
            continue
        for end in range(1 if length > 1 or target == avoided else 0, 2):
            slot = count_once(tally, path * room + (target + 1) * end, mark, held)
            if slot >= 0:
                used[held] = slot
                held += 1
    return held


@compiled
def shared_features(
    walks: Walks, heads: Ints, constants: Ints, length: int, least: int, tally: Tally, budget: int, out: Longs
) -> int:
    """Rules (head, constant, feature, support) written to `out` [room, 4]; gives how many there are.

    `heads` and `constants` [N] name the signed relation h and c of h(X,c). At most `budget` entities X are looked at
    for each. The table is emptied again for each.
    """
    used = np.empty(len(tally.code), np.int64)
    written = 0
    for k in range(len(heads)):
        low, high = steps(walks, constants[k], inverse(heads[k], walks.relations))
        held = 0
        for at in range(low, min(high, low + budget)):
            held = count_features(
                walks, walks.target[at], heads[k], constants[k], length, at, tally, used, held
            )
        for i in range(held):
            slot = used[i]
            if tally.count[slot] >= least and written < len(out):
                out[written, 0], out[written, 1] = heads[k], constants[k]
                out[written, 2], out[written, 3] = tally.code[slot], tally.count[slot]
                written += 1
            tally.code[slot] = -1
    return written


@compiled
def bound_size(
    walks: Walks, path: Ints, end: int, constant: int, seen: Longs, mark: int, out: Ints, budget: int
) -> int:
    """How many X have this path to `end`, whose entities differ and avoid the head's constant."""
    back = np.empty(len(path), np.int32)
    for k in range(len(path)):
        back[k] = inverse(path[len(path) - 1 - k], walks.relations)
    avoided = -1 if end == constant else constant
    return path_ends(walks, back, end, avoided, seen, mark, out, budget)[0]


@compiled
def only_through(walks: Walks, relation: int, constant: int) -> int:
    """How many entities have this relation to the constant and to nothing else."""
    low, high = steps(walks, constant, inverse(relation, walks.relations))
    lonely = 0
    for at in range(low, high):
        begin, end = steps(walks, walks.target[at], relation)
        lonely += end - begin == 1
    return lonely


@compiled
def feature_sizes(
    walks: Walks, paths: Ints, ends: Ints, constants: Ints, source_start: Longs, budget: int, sizes: Longs
) -> None:
    """For each body [N, length] with its end (-1: open, one step) the number of X that it holds for."""
    entities = len(walks.start) - 1
    seen = np.full(entities, -1, np.int64)
    out = np.empty(entities, np.int32)
    for k in range(len(paths)):
        if ends[k] >= 0:
            sizes[k] = bound_size(walks, paths[k], ends[k], constants[k], seen, k, out, budget)
        else:
            relation = paths[k, 0]
            low, high = steps(walks, constants[k], relation)
            having = source_start[relation + 1] - source_start[relation]
            sizes[k] = having - (high > low) - only_through(walks, relation, constants[k])
