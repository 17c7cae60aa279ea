"""Rules learned and applied by compiled code, against counting by hand."""

import math
import signal
import threading
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_lab.errors import ConfigError
from llm_lab.knowledge.rules import acyclic, cyclic, learner, mining
from llm_lab.knowledge.rules.engine import Engine
from llm_lab.knowledge.rules.learner import Stopped, learn_rules
from llm_lab.knowledge.rules.mining import Bounds, Miner
from llm_lab.knowledge.rules.ruleset import RuleSet
from llm_lab.knowledge.rules.walks import walks_of
from tests.knowledge.rules.brute import body, groundings, proposals, signed

ENTITIES, RELATIONS = 6, 2
LOOSE = Bounds(support=1, confidence=1e-4, smoothing=1.0)
cell = st.tuples(st.integers(0, ENTITIES - 1), st.integers(0, RELATIONS - 1), st.integers(0, ENTITIES - 1))
graphs = st.lists(cell, min_size=1, max_size=14, unique=True).map(lambda rows: np.array(rows, np.int32))
some = settings(max_examples=25, deadline=None)


def learned(
    triples: np.ndarray, cyclic: int = 3, acyclic: int = 2, bounds: Bounds = LOOSE, seconds: float = 60
) -> RuleSet:
    walks = walks_of(triples, entities=ENTITIES, relations=RELATIONS)
    return learn_rules(
        walks, triples, cyclic=cyclic, acyclic=acyclic, bounds=bounds, seconds=seconds, threads=1
    )


@given(graphs)
@some
def test_support_body_and_confidence_are_those_counted_by_hand(triples: np.ndarray):
    rules, pairs = learned(triples), signed(triples, RELATIONS)
    for at in range(len(rules)):
        holds = body(pairs, rules, at, ENTITIES)
        right = holds & pairs[int(rules.head[at])]
        assert (rules.support[at], rules.body[at]) == (len(right), len(holds))
        assert rules.confidence[at] == pytest.approx(len(right) / (len(holds) + 1))


@given(graphs)
@some
def test_no_cyclic_rule_is_missed(triples: np.ndarray):
    rules, pairs = learned(triples, acyclic=0), signed(triples, RELATIONS)
    found = {(int(h), *p[:n].tolist()) for h, p, n in zip(rules.head, rules.path, rules.length, strict=True)}
    for path in [(a,) for a in range(4)] + [(a, b) for a in range(4) for b in range(4)]:
        holds = {(g[0], g[-1]) for g in groundings(pairs, list(path), ENTITIES)}
        for head in range(RELATIONS):
            if path != (head,):
                assert ((head, *path) in found) == bool(holds & pairs[head])


@given(graphs)
@some
def test_scores_rank_by_the_confidences_of_all_rules_that_propose(triples: np.ndarray):
    rules, pairs = learned(triples, cyclic=2, acyclic=2), signed(triples, RELATIONS)
    walks = walks_of(triples, entities=ENTITIES, relations=RELATIONS)
    asked = [(source, relation) for source in range(ENTITIES) for relation in range(2 * RELATIONS)]
    sources, relations = np.array(asked, np.int32).T
    best = Engine(walks, rules, kept=1000, threads=1).scores(sources, relations)
    together = Engine(walks, rules, aggregation="noisy_or", threads=2).scores(sources, relations)
    for row, (source, relation) in enumerate(asked):
        wanted = proposals(pairs, rules, source, relation, ENTITIES, RELATIONS)
        assert {*np.flatnonzero(best[row])} == {*wanted}
        for left in wanted:
            assert best[row, left] == pytest.approx(wanted[left][0], abs=1e-5)
            either = 1 - math.prod(1 - value for value in wanted[left])
            assert -math.expm1(-together[row, left]) == pytest.approx(either, abs=1e-4)
            for right in wanted:
                assert (best[row, left] > best[row, right]) == (wanted[left] > wanted[right])


def test_an_interrupted_search_keeps_only_what_was_counted_in_full(caplog):
    chain = np.array([(n, 0, n + 1) for n in range(ENTITIES - 1)], np.int32)
    assert len(learned(chain, seconds=1e-9)) == 0
    assert "the time of 1e-09 s was up; the 0 rules so far are kept" in caplog.text
    assert len(learned(chain)) > 0


def test_compiling_does_not_count(monkeypatch: pytest.MonkeyPatch):
    time = [0.0]
    for module in (learner, mining):
        monkeypatch.setattr(module, "monotonic", lambda: time[0])
    compiling = learner.compile_search

    def slow(kind: np.dtype[Any]) -> None:
        compiling(kind)
        time[0] += 1000

    monkeypatch.setattr(learner, "compile_search", slow)
    chain = np.array([(n, 0, n + 1) for n in range(ENTITIES - 1)], np.int32)
    assert len(learned(chain, seconds=3)) > 0


def test_nothing_is_left_to_compile_once_the_clock_runs():
    search = [cyclic.closing_paths, cyclic.body_sizes, acyclic.shared_features, acyclic.feature_sizes]
    learner.compile_search(np.dtype(np.int32))
    compiled = [len(function.signatures) for function in search]
    learned(np.array([(n, n % 2, n + 1) for n in range(ENTITIES - 1)], np.int32))
    assert [len(function.signatures) for function in search] == compiled and all(compiled)


@pytest.mark.parametrize("call", [1, 2, 3])
def test_ctrl_c_keeps_what_was_counted_in_full(call: int, monkeypatch: pytest.MonkeyPatch):
    triples = np.array([(n, r, (n + 1 + r) % ENTITIES) for n in range(ENTITIES) for r in range(2)], np.int32)
    learner.compile_search(triples.dtype)
    monkeypatch.setattr(learner, "compile_search", lambda kind: None)
    calls, closing = count(1), Miner._closing

    def pressed(miner: Miner, *given: Any) -> Any:
        if next(calls) == call:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        return closing(miner, *given)

    whole = as_rows(learned(triples))
    monkeypatch.setattr(Miner, "_closing", pressed)
    with pytest.raises(Stopped, match="rules so far are kept") as stop:
        learned(triples)
    some_rules = as_rows(stop.value.rules)
    assert len(some_rules) > 0 and some_rules < whole


def as_rows(rules: RuleSet) -> set[tuple[Any, ...]]:
    columns = (rules.head, rules.constant, rules.end, rules.support, rules.body)
    return {(*row, *path) for *row, path in zip(*map(np.ndarray.tolist, (*columns, rules.path)), strict=True)}


def test_rules_below_the_bounds_are_left_out():
    triples = np.array([(0, 0, 1), (1, 1, 0), (2, 0, 3), (3, 1, 2), (4, 0, 5)], np.int32)
    strict = learned(triples, bounds=Bounds(support=2, confidence=0.5, smoothing=0.0), acyclic=0)
    kept = zip(strict.head, strict.path[:, 0], strict.support, strict.body, strict=True)
    assert [tuple(map(int, row)) for row in kept] == [(0, 3, 2, 2), (1, 2, 2, 3)]
    assert strict.confidence.tolist() == sorted(strict.confidence.tolist(), reverse=True)


def test_paths_that_cannot_be_numbered_are_refused():
    walks = walks_of(np.array([(0, 0, 1)], np.int32), entities=2, relations=200)
    with pytest.raises(ConfigError, match="rules of 8 steps over 200 relations are too many to number"):
        learn_rules(walks, np.array([(0, 0, 1)]), cyclic=8, acyclic=0, bounds=LOOSE, seconds=1)
