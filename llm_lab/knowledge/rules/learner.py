"""Learning rules from a graph, short ones first, until nothing is left or the time is up.

The rules are those of AnyBURL (Meilicke et al. 2019, https://www.ijcai.org/proceedings/2019/435; 2023,
https://doi.org/10.1007/s00778-023-00800-5). Where it samples paths, all are counted here: a depth-first search from
each triple of a relation finds every path that closes it, which gives the support of all rules at once. Bodies are
counted too; one that needs very many steps is estimated from a random part of the entities that it starts from.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator
from time import monotonic
from typing import Any

import numpy as np

from llm_lab.errors import ConfigError, InterruptedLearning
from llm_lab.knowledge.rules.grounding import LONGEST
from llm_lab.knowledge.rules.mining import Bounds, Miner
from llm_lab.knowledge.rules.ruleset import RuleSet
from llm_lab.knowledge.rules.walks import Ints, Walks, walks_of

log = logging.getLogger(__name__)
TOLD = 2.0  # seconds of compiling, from which on it is told
CODES = 2**62  # a path's code has to fit into 64 bits


class Stopped(InterruptedLearning):
    """Ctrl-C while rules were learned.

    Attributes:
        rules: those so far, each counted in full.
    """

    def __init__(self, rules: RuleSet) -> None:
        super().__init__(f"interrupted; the {len(rules)} rules so far are kept")
        self.rules = rules


def learn_rules(
    walks: Walks,
    triples: Ints,
    *,
    cyclic: int,
    acyclic: int,
    bounds: Bounds,
    seconds: float,
    threads: int = 0,
    seed: int = 0,
) -> RuleSet:
    """The rules found within so many seconds, the most confident first.

    What the deadline interrupts is left out, so that every rule that comes back was counted in full. A task that is
    under way is not interrupted, so that learning may run over by about a second.

    Args:
        walks: of the same triples.
        triples: [N, 3].
        cyclic: longest path of rules h(X,Y) <- path.
        acyclic: longest path of rules h(X,c) <- path; 0 for none.
        bounds: which rules are kept.
        seconds: of wall time; the first compilation of the search, which takes some seconds, does not count.
        threads: 0 for as many as there are cores.
        seed: of the order of the work.

    Raises:
        ConfigError: paths are too long to be numbered.
        Stopped: Ctrl-C.
    """
    longest = max(cyclic, acyclic)
    if longest > LONGEST or (2 * walks.relations) ** longest * (walks.entities + 1 if acyclic else 1) > CODES:
        raise ConfigError(
            f"model: rules of {longest} steps over {walks.relations} relations are too many to number"
        )
    compile_search(triples.dtype)
    miner = Miner(
        walks=walks,
        triples=triples,
        bounds=bounds,
        deadline=monotonic() + seconds,
        threads=threads or len(os.sched_getaffinity(0)),
        seed=seed,
    )
    portions = list[RuleSet]()
    try:
        for portion in _portions(miner, cyclic, acyclic):
            portions.append(portion)  # stays there where the next one is interrupted
    except KeyboardInterrupt:
        miner.interrupt()
    found = RuleSet.together(portions).by_confidence()
    if miner.interrupted:
        raise Stopped(found)
    if not miner.finished:
        log.warning("Rules: the time of %g s was up; the %d rules so far are kept.", seconds, len(found))
    return found


def compile_search(kind: np.dtype[Any]) -> None:
    """Search a graph of one step, so that all is compiled, or loaded from its cache, for triples of this kind."""
    begin, triples = monotonic(), np.zeros((1, 3), kind)
    triples[0, 2] = 1
    miner = Miner(
        walks=walks_of(triples, entities=2, relations=1),
        triples=triples,
        bounds=Bounds(support=1, confidence=0.5, smoothing=0.0),
        deadline=math.inf,
        threads=1,
        seed=0,
    )
    for _ in _portions(miner, 1, 1):
        pass
    if (took := monotonic() - begin) > TOLD:
        log.info("Rules: the search was compiled in %.0f s, which its limit of time does not count.", took)


def _portions(miner: Miner, cyclic: int, acyclic: int) -> Iterator[RuleSet]:
    for length in range(1, max(cyclic, acyclic) + 1):
        if length <= acyclic:
            yield from miner.acyclic(length)
        for relation in range(miner.walks.relations if length <= cyclic else 0):
            rules = miner.cyclic(relation, length)
            if rules is not None:
                yield rules
        if monotonic() > miner.deadline:
            return
