"""Learning rules from a graph, short ones first, until nothing is left or the time is up.

The rules are those of AnyBURL (Meilicke et al. 2019, https://www.ijcai.org/proceedings/2019/435; 2023,
https://doi.org/10.1007/s00778-023-00800-5). Where it samples paths, all are counted here: a depth-first search from
each triple of a relation finds every path that closes it, which gives the support of all rules at once. Bodies are
counted too; one that needs very many steps is estimated from a random part of the entities that it starts from.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from time import monotonic

from llm_lab.errors import ConfigError
from llm_lab.knowledge.rules.grounding import LONGEST
from llm_lab.knowledge.rules.mining import Bounds, Miner
from llm_lab.knowledge.rules.ruleset import RuleSet
from llm_lab.knowledge.rules.walks import Ints, Walks

log = logging.getLogger(__name__)
CODES = 2**62  # a path's code has to fit into 64 bits


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
        seconds: of wall time.
        threads: 0 for as many as there are cores.
        seed: of the order of the work.

    Raises:
        ConfigError: paths are too long to be numbered.
    """
    longest = max(cyclic, acyclic)
    if longest > LONGEST or (2 * walks.relations) ** longest * (walks.entities + 1 if acyclic else 1) > CODES:
        raise ConfigError(
            f"model: rules of {longest} steps over {walks.relations} relations are too many to number"
        )
    miner = Miner(
        walks=walks,
        triples=triples,
        bounds=bounds,
        deadline=monotonic() + seconds,
        threads=threads or len(os.sched_getaffinity(0)),
        seed=seed,
    )
    found = RuleSet.together([*_portions(miner, cyclic, acyclic)]).by_confidence()
    if not miner.finished:
        log.warning("Rules: the time of %g s was up; the %d rules so far are kept.", seconds, len(found))
    return found


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
