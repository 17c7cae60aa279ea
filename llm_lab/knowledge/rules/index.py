"""Rules arranged so that a query finds those that speak of it."""

from __future__ import annotations

import numpy as np

from llm_lab.knowledge.rules.application import Index
from llm_lab.knowledge.rules.ruleset import NONE, RuleSet, reverse
from llm_lab.knowledge.rules.walks import Longs


def index_of(rules: RuleSet, *, entities: int, relations: int) -> Index:
    """The index of rules over a graph with so many entities and relations."""
    bound = rules.take(rules.constant != NONE)
    depth = int(bound.length.max(initial=0))
    paths = path_codes(depth, relations)
    codes = coded(bound, relations)
    feature = (bound.head.astype(np.int64) * paths + codes) * (entities + 1) + bound.end + 1
    answer = bound.head.astype(np.int64) * entities + bound.constant
    by_feature, by_answer = (np.argsort(keys, kind="stable") for keys in (feature, answer))
    return Index(  # type: ignore[call-arg] # what `_cyclic` gives is a tuple of fixed length
        *_cyclic(rules.take(rules.constant == NONE), relations),  # type: ignore[arg-type]
        feature[by_feature],
        bound.constant[by_feature],
        bound.confidence[by_feature],
        answer[by_answer],
        bound.path[by_answer],
        bound.length[by_answer],
        bound.end[by_answer],
        bound.confidence[by_answer],
        paths,
        depth,
    )


def path_codes(depth: int, relations: int) -> int:
    """A bound of the codes of paths of up to `depth` steps: their digits follow a leading 1."""
    return int(2 * (2 * relations) ** depth)


def coded(rules: RuleSet, relations: int) -> Longs:
    """The code of each rule's path, see `path_codes`."""
    codes = np.ones(len(rules), np.int64)
    for step in range(int(rules.length.max(initial=0))):
        longer = rules.length > step
        codes[longer] = codes[longer] * (2 * relations) + rules.path[longer, step]
    return codes


def _cyclic(rules: RuleSet, relations: int) -> tuple[np.ndarray, ...]:
    back = reverse(rules.path, rules.length, relations)
    head = np.concatenate([rules.head, rules.head + relations])
    confidence = np.tile(rules.confidence, 2)
    order = np.lexsort((-confidence, head))
    start = np.zeros(2 * relations + 1, np.int64)
    np.cumsum(np.bincount(head, minlength=2 * relations), out=start[1:])
    path = np.concatenate([rules.path, back])[order]
    return start, path, np.tile(rules.length, 2)[order], confidence[order]
