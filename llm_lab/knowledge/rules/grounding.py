"""Where a path leads: all its ends under object identity, by depth-first search in compiled code."""

import numpy as np

from llm_lab.knowledge.rules.compiled import compiled
from llm_lab.knowledge.rules.walks import Ints, Longs, Walks, steps

LONGEST = 8  # steps of a path


@compiled
def visited(node: Ints, depth: int, entity: int, avoided: int) -> bool:
    """Whether an entity is on the path already, or is a constant that variables must differ from."""
    if entity == avoided:
        return True
    for k in range(depth + 1):  # noqa: SIM110, Numba knows no `any` of a generator
        if node[k] == entity:
            return True
    return False


@compiled
def path_ends(
    walks: Walks, path: Ints, source: int, avoided: int, seen: Longs, mark: int, out: Ints, budget: int
) -> tuple[int, int]:
    """Distinct ends of `path` from `source`, written to `out`; all entities of a path differ, none is `avoided`.

    `seen` [entities] holds marks of earlier calls; `mark` must be new. Gives the number of ends and of steps taken;
    more steps than `budget` means that the search was cut off.
    """
    length = len(path)
    node = np.empty(LONGEST + 1, np.int32)
    at = np.empty(LONGEST, np.int64)
    end = np.empty(LONGEST, np.int64)
    node[0] = source
    depth, found, taken = 0, 0, 0
    at[0], end[0] = steps(walks, source, path[0])
    while depth >= 0 and taken <= budget:
        if at[depth] >= end[depth]:
            depth -= 1
            continue
        entity = walks.target[at[depth]]
        at[depth] += 1
        taken += 1
        if visited(node, depth, entity, avoided):
            continue
        if depth + 1 < length:
            depth += 1
            node[depth] = entity
            at[depth], end[depth] = steps(walks, entity, path[depth])
        elif seen[entity] != mark:
            seen[entity] = mark
            out[found] = entity
            found += 1
    return found, taken
