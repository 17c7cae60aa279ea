"""Why a fact holds: a tree of rules over given facts, printed, checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isclose, prod

from llm_lab.errors import DataError
from llm_lab.knowledge.reasoning.facts import BASE, SHIFT
from llm_lab.knowledge.reasoning.forward import Derived
from llm_lab.knowledge.rules.rule import Atom, Rule, Term, Variable


@dataclass(frozen=True, eq=False)
class Proof:
    """A fact, and the rule and facts that it follows from.

    Attributes:
        fact: ground.
        confidence: the rule's times those of the premises; of a given fact what it was given with.
        rule: None for a given fact.
        premises: in the order of the rule's positive atoms; equal premises are one object.
    """

    fact: Atom
    confidence: float
    rule: Rule | None = None
    premises: tuple[Proof, ...] = ()

    @property
    def absent(self) -> tuple[Atom, ...]:
        """What the rule wants not to hold, under this proof's binding."""
        if self.rule is None:
            return ()
        bound = self.binding() or {}
        return tuple(
            Atom(atom.predicate, tuple(bound.get(term, term) for term in atom.terms), negated=True)
            for atom in self.rule.body
            if atom.negated
        )

    def binding(self) -> Mapping[Term, str] | None:
        """What the rule's variables stand for; None where premises and head do not fit the rule."""
        assert self.rule is not None  # noqa: S101
        positive = [atom for atom in self.rule.body if not atom.negated]
        if len(positive) != len(self.premises):
            return None
        bound: dict[Term, str] = {}
        facts = [self.fact, *(premise.fact for premise in self.premises)]
        for atom, fact in zip([self.rule.head, *positive], facts, strict=True):
            if (atom.predicate, len(atom.terms)) != (fact.predicate, len(fact.terms)):
                return None
            for term, name in zip(atom.terms, fact.terms, strict=True):
                if (bound.setdefault(term, str(name)) if isinstance(term, Variable) else term) != name:
                    return None
        return bound

    def nodes(self) -> Iterator[Proof]:
        """Every distinct proof within, premises before what follows from them."""
        done, stack = set[int](), [(self, False)]
        while stack:
            proof, ready = stack.pop()
            if id(proof) in done:
                continue
            if ready:
                done.add(id(proof))
                yield proof
            else:
                stack.append((proof, True))
                stack.extend((premise, False) for premise in reversed(proof.premises))

    def base(self) -> tuple[Atom, ...]:
        """The given facts that it rests on."""
        return tuple(proof.fact for proof in self.nodes() if proof.rule is None)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        shown, stack = set[int](), [(self, "", "")]
        while stack:
            proof, lead, below = stack.pop()
            again = bool(proof.premises) and id(proof) in shown
            shown.add(id(proof))
            doubt = "" if proof.confidence == 1 else f"  [{proof.confidence:.3g}]"
            if proof.rule is None:
                yield f"{lead}{proof.fact}{doubt}  given"
                continue
            yield f"{lead}{proof.fact}{doubt}" + ("  as above" if again else f"  by {proof.rule}")
            if again:
                continue
            yield from (f"{below}   {atom}  no such fact" for atom in proof.absent)
            last = len(proof.premises) - 1
            stack.extend(
                (
                    premise,
                    below + ("└─ " if place == last else "├─ "),
                    below + ("   " if place == last else "│  "),
                )
                for place, premise in reversed([*enumerate(proof.premises)])
            )


def prove(derived: Derived, fact: Atom) -> Proof:
    """The proof of a fact.

    Raises:
        DataError: it does not hold, as far as was derived.
    """
    table = derived.facts.tables.get(fact.predicate)
    numbers = [derived.facts.number(str(term)) for term in fact.terms]
    row = None
    if table is not None and table.arity == len(numbers) and min(numbers, default=0) >= 0:
        row = table.row(numbers)
    if table is None or row is None:
        partial = "" if derived.complete else f", as far as was derived: {derived.reason}"
        raise DataError(f"{fact} does not follow{partial}")
    return _Prover(derived).proof((table.number << SHIFT) + row)


class _Prover:
    """Builds proofs bottom up, each once."""

    def __init__(self, derived: Derived) -> None:
        self.derived = derived
        self.tables = [*derived.facts.tables.items()]
        self.done: dict[int, Proof] = {}

    def proof(self, wanted: int) -> Proof:
        """The proof of the fact of this number."""
        stack = [wanted]
        while stack:
            ref = stack[-1]
            missing = [premise for premise in self._premises(ref) if premise not in self.done]
            if missing:
                stack.extend(missing)
            else:
                self.done[stack.pop()] = self._node(ref)
        return self.done[wanted]

    def _premises(self, ref: int) -> list[int]:
        rows = self.tables[ref >> SHIFT][1].rows
        return [premise for premise in rows.premises[ref & ((1 << SHIFT) - 1)].tolist() if premise >= 0]

    def _node(self, ref: int) -> Proof:
        predicate, table = self.tables[ref >> SHIFT]
        row = ref & ((1 << SHIFT) - 1)
        fact = Atom(predicate, tuple(self.derived.facts.names[n] for n in table.rows.terms[row].tolist()))
        sure, number = float(table.rows.confidence[row]), int(table.rows.rule[row])
        if number == BASE:
            return Proof(fact, sure)
        premises = tuple(self.done[premise] for premise in self._premises(ref))
        return Proof(fact, sure, self.derived.rules[number], premises)


def faults(proof: Proof, given: Mapping[Atom, float], holding: Iterable[Atom] = ()) -> list[str]:
    """What is wrong with a proof; nothing, where it is one.

    Args:
        proof: to be checked, step by step, without trust in how it was found.
        given: base facts and their confidence.
        holding: facts that hold, so that none of them may be wanted absent.
    """
    found, there = list[str](), {*given, *holding}
    for node in proof.nodes():
        if node.rule is None:
            if given.get(node.fact) != node.confidence:
                found.append(f"{node.fact} was not given")
            continue
        bound = node.binding()
        if bound is None:
            found.append(f"{node.fact} is no instance of {node.rule}")
            continue
        if any(bound[left] == bound[right] for left, right in node.rule.different):
            found.append(f"{node.fact}: variables of {node.rule} do not differ")
        if not isclose(node.confidence, node.rule.confidence * prod(p.confidence for p in node.premises)):
            found.append(f"{node.fact} has confidence {node.confidence:g}, which does not follow")
        found += [f"{atom}: it holds" for atom in node.absent if Atom(atom.predicate, atom.terms) in there]
    return found
