"""Rules counted and applied by trying everything: what compiled code has to agree with."""

from collections import defaultdict
from itertools import product

import numpy as np

from llm_lab.knowledge.rules.ruleset import RuleSet

Pairs = dict[int, set[tuple[int, int]]]


def signed(triples: np.ndarray, relations: int) -> Pairs:
    pairs: Pairs = defaultdict(set)
    for head, relation, tail in triples.tolist():
        pairs[relation].add((head, tail))
        pairs[relation + relations].add((tail, head))
    return pairs


def groundings(pairs: Pairs, path: list[int], entities: int) -> set[tuple[int, ...]]:
    """Sequences of different entities along a path."""
    found = {(entity,) for entity in range(entities)}
    for step in path:
        found = {
            (*g, to)
            for g, to in product(found, range(entities))
            if (g[-1], to) in pairs[step] and to not in g
        }
    return found


def body(pairs: Pairs, rules: RuleSet, at: int, entities: int) -> set[tuple[int, int]]:
    """The (X, Y), or (X, c), for which a rule's body holds; variables differ from the head's constant."""
    path = rules.path[at, : rules.length[at]].tolist()
    constant, end = int(rules.constant[at]), int(rules.end[at])
    found = groundings(pairs, path, entities)
    if constant < 0:
        return {(g[0], g[-1]) for g in found}
    if end >= 0:
        found = {g for g in found if g[-1] == end and constant not in g[:-1]}
    else:
        found = {g for g in found if constant not in g}
    return {(g[0], constant) for g in found}


def proposals(pairs: Pairs, rules: RuleSet, source: int, relation: int, entities: int, relations: int):
    """Candidate -> confidences of the rules that propose it for a query."""
    found = defaultdict(list)
    back = relation + relations if relation < relations else relation - relations
    for at in range(len(rules)):
        for x, y in body(pairs, rules, at, entities):
            if rules.head[at] == relation and x == source:
                found[y].append(float(rules.confidence[at]))
            elif rules.head[at] == back and y == source:
                found[x].append(float(rules.confidence[at]))
    return {candidate: sorted(values, reverse=True) for candidate, values in found.items()}
