"""Rules at work: every candidate of a query (x, g, ?) with the confidences of the rules that propose it."""

from typing import NamedTuple

import numpy as np

from llm_lab.knowledge.rules.compiled import compiled
from llm_lab.knowledge.rules.grounding import LONGEST, path_ends, visited
from llm_lab.knowledge.rules.walks import Floats, Ints, Longs, Walks, inverse, steps


class Index(NamedTuple):
    """Rules arranged for queries; signed relations, paths padded with -1 to [., longest]."""

    cyclic_start: Longs  # [2 * relations + 1] by relation asked for
    cyclic_path: Ints
    cyclic_length: Ints
    cyclic_confidence: Floats
    feature: Longs  # sorted: (head * paths + path) * (entities + 1) + end + 1
    feature_constant: Ints
    feature_confidence: Floats
    answer: Longs  # sorted: head * entities + constant
    answer_path: Ints
    answer_length: Ints
    answer_end: Ints  # -1 for an open end
    answer_confidence: Floats
    paths: int  # how many codes of paths there are
    depth: int  # steps of the longest rule with a constant


class Proposals(NamedTuple):
    """What is known of the candidates of one query; reused from query to query."""

    best: Floats  # [entities, kept] confidences in descending order, 0 where there are fewer
    doubt: Floats  # [entities] sum of log(1 - confidence)
    touched: Ints  # candidates so far, `count[0]` of them
    count: Longs  # type: ignore[assignment] # a name that tuples have too
    seen: Longs  # [entities] for path_ends
    ends: Ints  # [entities] for path_ends
    mark: Longs  # [1] the last mark used in `seen`


def empty_proposals(entities: int, kept: int) -> Proposals:
    """Room for a query's candidates."""
    return Proposals(
        np.zeros((entities, kept), np.float32),
        np.zeros(entities, np.float32),
        np.empty(entities, np.int32),
        np.zeros(1, np.int64),
        np.full(entities, -1, np.int64),
        np.empty(entities, np.int32),
        np.zeros(1, np.int64),
    )


@compiled
def propose(found: Proposals, candidate: int, confidence: float) -> None:
    """Notes that one more rule of this confidence proposes a candidate."""
    best = found.best[candidate]
    if best[0] == 0:
        found.touched[found.count[0]] = candidate
        found.count[0] += 1
    found.doubt[candidate] += np.log1p(-min(np.float32(confidence), np.float32(0.9999)))
    place = len(best)
    while place > 0 and best[place - 1] < confidence:
        place -= 1
        if place + 1 < len(best):
            best[place + 1] = best[place]
    if place < len(best):
        best[place] = confidence


@compiled
def apply_cyclic(
    walks: Walks, index: Index, source: int, relation: int, budget: int, found: Proposals
) -> None:
    """Every end of every path that a rule for this relation follows."""
    for rule in range(index.cyclic_start[relation], index.cyclic_start[relation + 1]):
        path = index.cyclic_path[rule, : index.cyclic_length[rule]]
        found.mark[0] += 1
        ends, _ = path_ends(walks, path, source, -1, found.seen, found.mark[0], found.ends, budget)
        for k in range(ends):
            propose(found, found.ends[k], index.cyclic_confidence[rule])


@compiled
def fire(
    index: Index, key: int, node: Ints, depth: int, end: int, used: Longs, mark: int, found: Proposals
) -> None:
    """Proposes the constant of each rule with this feature, once a query; intermediates differ from the constant."""
    low = np.searchsorted(index.feature, key)
    while low < len(index.feature) and index.feature[low] == key:
        constant = index.feature_constant[low]
        clash = constant == end or visited(node, depth, constant, -1)
        if used[low] != mark and not clash:
            used[low] = mark
            propose(found, constant, index.feature_confidence[low])
        low += 1


@compiled
def apply_features(
    walks: Walks, index: Index, source: int, relation: int, used: Longs, mark: int, found: Proposals
) -> None:
    """The constants of rules h(X, c) whose body holds for the source."""
    labels, room = 2 * walks.relations, len(walks.start)
    node = np.empty(LONGEST + 1, np.int32)
    at = np.empty(LONGEST + 1, np.int64)
    code = np.ones(LONGEST + 1, np.int64)
    node[0], at[0], depth = source, walks.start[source], 0
    base = relation * index.paths
    fire(index, (base + 1) * room, node, 0, -1, used, mark, found)
    while depth >= 0 and index.depth > 0:
        if at[depth] >= walks.start[node[depth] + 1]:
            depth -= 1
            continue
        step = at[depth]
        at[depth] += 1
        target = walks.target[step]
        if visited(node, depth, target, -1):
            continue
        path = code[depth] * labels + walks.relation[step]
        fire(index, (base + path) * room + target + 1, node, depth, -1, used, mark, found)
        if depth == 0:
            fire(index, (base + path) * room, node, depth, target, used, mark, found)
        if depth + 1 < index.depth:
            depth += 1
            node[depth], at[depth], code[depth] = target, walks.start[target], path


@compiled
def apply_answers(
    walks: Walks,
    index: Index,
    source: int,
    relation: int,
    starts: Longs,
    sources: Ints,
    budget: int,
    found: Proposals,
) -> None:
    """Every X of rules h(X, c) whose constant is the source, asked backwards."""
    head = inverse(relation, walks.relations)
    key = np.int64(head) * (len(walks.start) - 1) + source
    rule = np.searchsorted(index.answer, key)
    back = np.empty(LONGEST, np.int32)
    while rule < len(index.answer) and index.answer[rule] == key:
        length, end = index.answer_length[rule], index.answer_end[rule]
        confidence = index.answer_confidence[rule]
        if end >= 0:
            for k in range(length):
                back[k] = inverse(index.answer_path[rule, length - 1 - k], walks.relations)
            found.mark[0] += 1
            avoided = -1 if end == source else source
            ends, _ = path_ends(
                walks, back[:length], end, avoided, found.seen, found.mark[0], found.ends, budget
            )
            for k in range(ends):
                if found.ends[k] != source:
                    propose(found, found.ends[k], confidence)
        elif length == 1:
            step = index.answer_path[rule, 0]
            for k in range(starts[step], starts[step + 1]):
                low, high = steps(walks, sources[k], step)
                other = high - low > 1 or walks.target[low] != source
                if sources[k] != source and other:
                    propose(found, sources[k], confidence)
        rule += 1


@compiled
def before(best: Floats, left: int, right: int) -> int:
    """-1 where the left candidate's confidences come lexicographically first (greater), 1 where the right's, else 0."""
    for k in range(best.shape[1]):
        if best[left, k] != best[right, k]:
            return -1 if best[left, k] > best[right, k] else 1
    return 0


@compiled
def ordered(best: Floats, candidates: Ints) -> Ints:
    """Candidates from the weakest to the strongest list of confidences: a merge sort from runs of one."""
    order, spare, width = candidates.copy(), candidates.copy(), 1
    while width < len(order):
        for low in range(0, len(order), 2 * width):
            middle, high = min(low + width, len(order)), min(low + 2 * width, len(order))
            left, right = low, middle
            for k in range(low, high):
                take_left = right >= high or (left < middle and before(best, order[left], order[right]) >= 0)
                if take_left:
                    spare[k] = order[left]
                    left += 1
                else:
                    spare[k] = order[right]
                    right += 1
        order, spare = spare, order
        width *= 2
    return order


@compiled
def write_max(found: Proposals, scores: Floats) -> None:
    """The greatest confidence; what ties there is told apart by the next ones, by the least step a float can take."""
    order = ordered(found.best, found.touched[: found.count[0]])
    value = np.float32(0)
    for k in range(len(order)):
        if k == 0 or before(found.best, order[k - 1], order[k]) != 0:
            value = max(found.best[order[k], 0], np.nextafter(value, np.float32(2)))
        scores[order[k]] = value


@compiled
def score_queries(
    walks: Walks,
    index: Index,
    sources: Ints,
    relations: Ints,
    starts: Longs,
    having: Ints,
    noisy_or: bool,  # noqa: FBT001, compiled code takes no keywords
    budget: int,
    found: Proposals,
    scores: Floats,
) -> None:
    """Scores [B, entities] of queries (source, signed relation, ?) [B]; 0 where no rule proposes an entity.

    `noisy_or` gives -sum log(1 - confidence), which orders as 1 - prod (1 - confidence) does and does not saturate.
    """
    used = np.full(len(index.feature), -1, np.int64)
    for query in range(len(sources)):
        apply_cyclic(walks, index, sources[query], relations[query], budget, found)
        apply_features(walks, index, sources[query], relations[query], used, query, found)
        apply_answers(walks, index, sources[query], relations[query], starts, having, budget, found)
        if not noisy_or:
            write_max(found, scores[query])
        for k in range(found.count[0]):
            candidate = found.touched[k]
            if noisy_or:
                scores[query, candidate] = -found.doubt[candidate]
            found.best[candidate] = 0
            found.doubt[candidate] = 0
        found.count[0] = 0
