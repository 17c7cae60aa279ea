"""The graph as steps in both directions, sorted so that compiled code finds a step by bisection."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llm_lab.knowledge.rules.compiled import compiled

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Floats = NDArray[np.float32]


class Walks(NamedTuple):
    """Steps out of every entity; relation `r + relations` is `r` walked from tail to head."""

    start: Longs  # [entities + 1] where an entity's steps begin
    relation: Ints  # [steps] ascending within an entity
    target: Ints  # [steps] ascending within an entity and a relation
    relations: int  # without inverses

    @property
    def entities(self) -> int:
        """How many entities there are."""
        return len(self.start) - 1


def walks_of(triples: Ints, *, entities: int, relations: int) -> Walks:
    """Steps of triples [N, 3] (head, relation, tail); loops are left out, since variables of a rule differ."""
    head, relation, tail = np.unique(triples[triples[:, 0] != triples[:, 2]], axis=0).T
    source = np.concatenate([head, tail])
    target = np.concatenate([tail, head]).astype(np.int32)
    label = np.concatenate([relation, relation + relations]).astype(np.int32)
    order = np.lexsort((target, label, source))
    start = np.zeros(entities + 1, np.int64)
    np.cumsum(np.bincount(source, minlength=entities), out=start[1:])
    return Walks(start, label[order], target[order], relations)


@compiled
def inverse(relation: int, relations: int) -> int:
    """The same relation walked the other way."""
    return relation + relations if relation < relations else relation - relations


@compiled
def first_at_least(values: Ints, low: int, high: int, wanted: int) -> int:
    """The first index in [low, high) whose value is not below `wanted`."""
    while low < high:
        middle = (low + high) >> 1
        if values[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def steps(walks: Walks, entity: int, relation: int) -> tuple[int, int]:
    """The range of an entity's steps over one relation."""
    end = walks.start[entity + 1]
    low = first_at_least(walks.relation, walks.start[entity], end, relation)
    high = low
    while high < end and walks.relation[high] == relation:
        high += 1
        if high - low > 16:  # noqa: PLR2004, a hub: bisect the rest
            return low, first_at_least(walks.relation, high, end, relation + 1)
    return low, high


@compiled
def holds(walks: Walks, head: int, relation: int, tail: int) -> bool:
    """Whether the graph has this step."""
    low, high = steps(walks, head, relation)
    at = first_at_least(walks.target, low, high, tail)
    return at < high and walks.target[at] == tail
