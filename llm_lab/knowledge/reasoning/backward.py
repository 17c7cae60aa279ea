"""Backward chaining: only what a question needs is derived.

The program is rewritten so that each rule waits until its head is asked for, and asks for what its body needs (magic
sets; Beeri and Ramakrishnan 1991, https://doi.org/10.1016/0743-1066(91)90038-Q), and is then run forwards; a rule that
calls itself therefore never loops. Predicates that are negated, and what they rest on, are completed first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from time import monotonic

from llm_lab.errors import DataError
from llm_lab.knowledge.reasoning.facts import Facts
from llm_lab.knowledge.reasoning.forward import Derived, Limits, Run
from llm_lab.knowledge.reasoning.program import Program
from llm_lab.knowledge.reasoning.proof import Proof, prove
from llm_lab.knowledge.rules.rule import Atom, Rule, Variable

ASKED = "asked "  # before the name of a predicate: no name of a rule has a blank without quotes


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was found.

    Attributes:
        question: as it was asked.
        facts: instances of the question with their confidence.
        derived: what the proofs are read from.
    """

    question: Atom
    facts: dict[Atom, float]
    derived: Derived

    @property
    def complete(self) -> bool:
        """Whether there can be no further answer; `derived.reason` says why not."""
        return self.derived.complete

    def proof(self, fact: Atom) -> Proof:
        """Why an answer holds."""
        return prove(self.derived, fact)


def backward(
    question: Atom, program: Program, facts: Facts, *, depth: int | None = None, limits: Limits | None = None
) -> Answer:
    """All instances of a question that follow, or those found before a limit was reached.

    Args:
        question: an atom; its variables are what is asked.
        program: see `forward`.
        facts: stay as they are.
        depth: answers are exactly the facts with a proof of at most this height, each with the lowest; None for any.
        limits: of time and size.

    Raises:
        DataError: the program is not safe or not stratified, or no fact and no rule has the question's predicate.
    """
    program.check(facts.tables)
    if question.predicate not in {*facts.tables, *program.derived}:
        raise DataError(f"{question}: no fact and no rule has {question.predicate!r}")
    if (table := facts.tables.get(question.predicate)) and table.arity != len(question.terms):
        raise DataError(f"{question}: {question.predicate!r} has {table.arity} terms in the facts")
    limits, started, shallow = limits or Limits(), monotonic(), depth is not None
    needed = _reachable(program, {question.predicate})
    negated = {atom.predicate for rule in program.rules for atom in rule.body if atom.negated}
    first = _reachable(program, negated & needed)  # completed whatever the depth: absence has to be certain
    ground = Run(_only(program, first), facts, limits, shallow=shallow).run()
    rest = [rule for rule in program.rules if rule.head.predicate in needed - first]
    if not rest or not ground.complete:
        return _answer(question, ground, depth)
    rules = tuple(_rewritten(question, rest))
    run = Run(
        Program(rules, program.closed),
        ground.facts.copy([term for term in question.terms if not isinstance(term, Variable)]),
        replace(limits, seconds=max(limits.seconds - (monotonic() - started), 0)),
        guards={rule.head.predicate for rule in rules if rule.head.predicate.startswith(ASKED)},
        earlier=ground.rules,
        depth=depth,
        shallow=shallow,
    )
    return _answer(question, run.run(), depth)


def _reachable(program: Program, wanted: set[str]) -> set[str]:
    """The predicates that some depend on, themselves among them."""
    found, more = set[str](), wanted
    while more:
        found |= more
        more = {
            a.predicate for rule in program.rules if rule.head.predicate in more for a in rule.body
        } - found
    return found


def _only(program: Program, predicates: set[str]) -> Program:
    return Program(tuple(rule for rule in program.rules if rule.head.predicate in predicates), program.closed)


def _answer(question: Atom, derived: Derived, depth: int | None) -> Answer:
    found = derived.facts.atoms(question.predicate, highest=depth)
    facts = {fact: sure for fact, sure in found.items() if _fits(question, fact)}
    return Answer(question=question, facts=facts, derived=derived)


def _fits(question: Atom, fact: Atom) -> bool:
    bound = dict(zip(question.terms, fact.terms, strict=True))
    return tuple(bound[term] for term in question.terms) == fact.terms and all(
        isinstance(term, Variable) or term == name for term, name in bound.items()
    )


def _asked(atom: Atom, bound: str) -> Atom:
    """That an atom is asked for, with the terms whose place in `bound` is b."""
    terms = tuple(term for term, kind in zip(atom.terms, bound, strict=True) if kind == "b")
    return Atom(f"{ASKED}{bound} {atom.predicate}", terms)


def _bound(atom: Atom, variables: frozenset[Variable]) -> str:
    return "".join("f" if isinstance(t, Variable) and t not in variables else "b" for t in atom.terms)


def _rewritten(question: Atom, rules: list[Rule]) -> Iterator[Rule]:
    """Rules that wait until they are asked, and rules that ask."""
    derived = {rule.head.predicate for rule in rules}
    start = _bound(question, frozenset())
    yield Rule(_asked(question, start))
    todo, done = [(question.predicate, start)], {(question.predicate, start)}
    while todo:
        predicate, bound = todo.pop()
        for rule in (rule for rule in rules if rule.head.predicate == predicate):
            if len(rule.head.terms) != len(bound):
                raise DataError(
                    f"{predicate!r} has {len(rule.head.terms)} terms in {rule}, and {len(bound)} elsewhere"
                )
            wait = _asked(rule.head, bound)
            known, before = wait.variables, [wait]
            rest = [atom for atom in rule.body if not atom.negated]
            while rest:
                atom = next((one for one in rest if not one.variables or one.variables & known), rest[0])
                rest.remove(atom)
                if atom.predicate in derived:
                    kind = _bound(atom, known)
                    asks = _asked(atom, kind)
                    if [asks] != before:
                        yield Rule(asks, tuple(before))
                    if (atom.predicate, kind) not in done:
                        done.add((atom.predicate, kind))
                        todo.append((atom.predicate, kind))
                before.append(atom)
                known |= atom.variables
            yield replace(rule, body=(wait, *rule.body))
