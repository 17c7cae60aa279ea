"""Portions of learning: the rules of one kind and length for one relation, or for some constants."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from time import monotonic
from typing import TypeVar

import numpy as np

from llm_lab.knowledge.rules.acyclic import feature_sizes, shared_features
from llm_lab.knowledge.rules.cyclic import body_sizes, closing_paths, decode, empty_tally, sources_of
from llm_lab.knowledge.rules.ruleset import RuleSet, rules_of
from llm_lab.knowledge.rules.walks import Ints, Longs, Walks

T = TypeVar("T")
U = TypeVar("U")
TRIPLES, BODIES, CONSTANTS = 1000, 256, 500  # of one task: a second or less each
TABLE = 20  # bits of the table of paths, at most
STEPS = 2_000_000  # of the search from one triple
PAIRS = (
    300_000  # steps for one body: beyond it is estimated from the entities looked at so far, in random order
)
ROOM = 1_000_000  # rules of one task


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Which rules are kept.

    Attributes:
        support: least pairs for which a rule is right.
        confidence: least share of right pairs, smoothed.
        smoothing: added to the pairs of the body (the p_c of AnyBURL): few observations count less.
    """

    support: int
    confidence: float
    smoothing: float


@dataclass(kw_only=True)
class Miner:
    """Finds rules in a graph until its time is up; several threads run the compiled loops.

    Attributes:
        walks: the graph.
        triples: [N, 3] of training.
        bounds: which rules are kept.
        deadline: by `time.monotonic`, in seconds.
        threads: how many.
        seed: of the order in which entities are looked at.
        finished: whether no task was left out since the time was up.
        interrupted: whether Ctrl-C was pressed.
    """

    walks: Walks
    triples: Ints
    bounds: Bounds
    deadline: float
    threads: int
    seed: int
    finished: bool = True
    interrupted: bool = False

    def __post_init__(self) -> None:
        self.start, self.sources = sources_of(self.walks, self.seed)

    def interrupt(self) -> None:
        """Begin nothing more."""
        self.interrupted, self.deadline = True, -math.inf

    def each(self, work: Callable[[T], U], parts: Sequence[T]) -> list[U | None]:
        """The work done on each part, None for those that the deadline left out."""

        def timed(part: T) -> U | None:
            return None if monotonic() > self.deadline else work(part)

        with ThreadPoolExecutor(self.threads) as pool:
            tasks = [pool.submit(timed, part) for part in parts]
            try:
                wait(tasks)
            except KeyboardInterrupt:  # the rest is left out, as it is when the time is up
                self.interrupt()
        done = [task.result() for task in tasks]
        self.finished = self.finished and all(result is not None for result in done)
        return done

    def cyclic(self, relation: int, length: int) -> RuleSet | None:
        """Rules relation(X,Y) <- path of this length; None where the time was up before all was counted."""
        triples = self.triples[self.triples[:, 1] == relation]
        triples = np.random.default_rng(self.seed).permutation(triples)
        parts = [triples[at : at + TRIPLES] for at in range(0, len(triples), TRIPLES)]
        counted = [tally for tally in self.each(lambda part: self._closing(part, length), parts) if tally]
        if not counted or len(counted) < len(parts):
            return None
        codes, place = np.unique(np.concatenate([codes for codes, _ in counted]), return_inverse=True)
        support = np.bincount(place, weights=np.concatenate([counts for _, counts in counted])).astype(
            np.int64
        )
        often = support >= self.bounds.support
        return self._sized(relation, length, codes[often], support[often])

    def _closing(self, triples: Ints, length: int) -> tuple[Longs, Longs]:
        tally = empty_tally(self._bits((2 * self.walks.relations) ** length))
        closing_paths(self.walks, triples, length, tally, STEPS)
        taken = tally.code >= 0
        return tally.code[taken], tally.count[taken]

    def _bits(self, paths: int) -> int:
        """Of a table with room for so many paths, or for as many as memory allows."""
        return min(TABLE, (2 * paths).bit_length() + 1)

    def _sized(self, relation: int, length: int, codes: Longs, support: Longs) -> RuleSet | None:
        paths = decode(codes, length, 2 * self.walks.relations)
        limits = (support / self.bounds.confidence).astype(np.int64)

        def size(part: Longs) -> Longs:
            found = np.zeros(len(part), np.int64)
            body_sizes(self.walks, paths[part], self.start, self.sources, limits[part], PAIRS, found)
            return found

        parts = np.array_split(np.arange(len(codes)), max(1, len(codes) // BODIES))
        found = [sizes for sizes in self.each(size, parts) if sizes is not None]
        if len(found) < len(parts):
            return None
        head = np.full(len(codes), relation)
        return self._kept(
            rules_of(
                head=head,
                path=paths,
                support=support,
                body=np.concatenate(found),
                smoothing=self.bounds.smoothing,
            )
        )

    def acyclic(self, length: int) -> Iterator[RuleSet]:
        """Rules relation(X,c) <- path of this length to a constant; for one step, also to anything."""
        entities, relations = self.walks.entities, self.walks.relations
        head, relation, tail = self.triples.astype(np.int64).T
        keys = np.concatenate([relation * entities + tail, (relation + relations) * entities + head])
        keys, counts = np.unique(keys, return_counts=True)
        keys = np.random.default_rng(self.seed).permutation(keys[counts >= self.bounds.support])
        parts = [keys[at : at + CONSTANTS] for at in range(0, len(keys), CONSTANTS)]
        for rules in self.each(lambda part: self._bound(part, length), parts):
            if rules is not None:
                yield rules

    def _bound(self, keys: Longs, length: int) -> RuleSet:
        entities, labels = self.walks.entities, 2 * self.walks.relations
        head, constant = (part.astype(np.int32) for part in np.divmod(keys, entities))
        out = np.empty((ROOM, 4), np.int64)
        tally = empty_tally(self._bits(labels**length * (entities + 1)))
        count = shared_features(self.walks, head, constant, length, self.bounds.support, tally, STEPS, out)
        head, constant, feature, support = out[:count].T
        path, end = decode(feature // (entities + 1), length, labels), feature % (entities + 1) - 1
        body = np.zeros(count, np.int64)
        ends, constants = end.astype(np.int32), constant.astype(np.int32)
        feature_sizes(self.walks, path, ends, constants, self.start, STEPS, body)
        return self._kept(
            rules_of(
                head=head,
                constant=constant,
                path=path,
                end=end,
                support=support,
                body=body,
                smoothing=self.bounds.smoothing,
            )
        )

    def _kept(self, rules: RuleSet) -> RuleSet:
        enough = (rules.support >= self.bounds.support) & (rules.confidence >= self.bounds.confidence)
        return rules.take(enough & (rules.support <= rules.body))
