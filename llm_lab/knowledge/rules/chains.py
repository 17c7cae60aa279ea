"""Between arrays and text: a learned rule as a `Rule`, and a `Rule` that is a chain of steps as an array."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from llm_lab.config.nearest import nearest
from llm_lab.errors import DataError
from llm_lab.knowledge.rules.grounding import LONGEST
from llm_lab.knowledge.rules.rule import Atom, Rule, Term, Variable
from llm_lab.knowledge.rules.ruleset import NONE, RuleSet, rules_of
from llm_lab.knowledge.triples import Triples

X, Y = Variable("X"), Variable("Y")
BETWEEN = tuple(Variable(letter) for letter in "ABCDEFGH")


def readable(rules: RuleSet, entities: Sequence[str], relations: Sequence[str]) -> Iterator[Rule]:
    """Each rule with names."""
    for head, constant, path, length, end, confidence in zip(
        rules.head.tolist(),
        rules.constant.tolist(),
        rules.path.tolist(),
        rules.length.tolist(),
        rules.end.tolist(),
        rules.confidence.tolist(),
        strict=True,
    ):
        target: Term = Y if constant == NONE else entities[constant]
        last: Term = entities[end] if end != NONE else Y if constant == NONE else BETWEEN[max(length - 1, 0)]
        stops = [X, *BETWEEN[: max(length - 1, 0)], last]
        body = [_step(path[k], stops[k], stops[k + 1], relations) for k in range(length)]
        yield Rule(_step(head, X, target, relations), tuple(body), (), confidence)


def _step(relation: int, source: Term, target: Term, relations: Sequence[str]) -> Atom:
    if relation < len(relations):
        return Atom(relations[relation], (source, target))
    return Atom(relations[relation - len(relations)], (target, source))


def differing(rule: Rule) -> Rule:
    """The rule with the condition under which it was learned: its variables are bound to different entities."""
    names = sorted({name for atom in (rule.head, *rule.body) for name in atom.variables}, key=str)
    return Rule(rule.head, rule.body, tuple(combinations(names, 2)), rule.confidence)


def chain(rule: Rule, triples: Triples) -> RuleSet:
    """A single rule as arrays.

    Raises:
        DataError: it names what the graph does not have, or is no chain h(X,Y) <- b(X,A), c(A,Y) or h(X,c) <- b(X,d).
    """
    source, target = _ends(rule.head)
    known = [Atom(atom.predicate, atom.terms) for atom in rule.body if not atom.negated]
    if len(known) < len(rule.body):
        raise DataError(
            "a negated atom: rules that rank candidates are chains; use it in a program of reasoning"
        )
    path, passed = list[int](), {source}
    at: Variable | str = source
    for atom in known:
        step = _relation(atom.predicate, triples)
        if not isinstance(at, Variable) or at not in atom.terms or len({*atom.terms}) != 2:  # noqa: PLR2004
            raise DataError(f"{atom} does not go on from {at}: a chain of steps from {source} is wanted")
        forward = atom.terms[0] == at
        path.append(step if forward else step + len(triples.relations))
        at = atom.terms[1] if forward else atom.terms[0]
        if at in passed:
            raise DataError(f"{atom} comes back to {at}: a chain passes each variable once")
        passed |= {at} if isinstance(at, Variable) else set()
    if len(path) > LONGEST:
        raise DataError(f"{len(path)} steps; at most {LONGEST} are possible")
    if isinstance(target, Variable) and (at != target or not path):
        raise DataError(f"the body ends in {at} and not in {target}")
    head = _relation(rule.head.predicate, triples)
    if source != rule.head.terms[0]:
        head += len(triples.relations)
    open_end = isinstance(at, Variable)
    if not isinstance(target, Variable) and open_end and len(path) > 1:
        raise DataError(f"an open end {at} is possible after a single step only")
    return rules_of(
        head=np.array([head]),
        constant=np.array([NONE if isinstance(target, Variable) else _entity(target, triples)]),
        path=np.array([path], np.int64).reshape(1, -1),
        end=np.array([NONE if isinstance(at, Variable) else _entity(at, triples)]),
        support=np.array([0]),
        body=np.array([0]),
        smoothing=0.0,
    )


def _ends(head: Atom) -> tuple[Variable, Term]:
    """Where the chain begins, and the other end of the head."""
    if len(head.terms) != 2:  # noqa: PLR2004
        raise DataError(f"{head}: a head of two terms is wanted")
    left, right = head.terms
    if isinstance(left, Variable) and left != right:
        return left, right
    if isinstance(right, Variable) and left != right:
        return right, left
    raise DataError(f"{head}: at least one variable is wanted, and not the same twice")


def _relation(name: str, triples: Triples) -> int:
    return _number(name, triples.relation_ids, "relation")


def _entity(name: str, triples: Triples) -> int:
    return _number(name, triples.entity_ids, "entity")


def _number(name: str, numbers: Mapping[str, int], what: str) -> int:
    if name not in numbers:
        near = nearest(name, numbers)
        raise DataError(f"the graph has no {what} {name!r}" + (f"; nearest is {near!r}" if near else ""))
    return numbers[name]
