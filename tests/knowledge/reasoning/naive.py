"""Reasoning as the textbook defines it, by trying every binding: slow, and plain enough to be believed."""

from itertools import product

from llm_lab.knowledge.reasoning.program import Program
from llm_lab.knowledge.rules.rule import Atom, Rule, Variable


def instances(rule: Rule, names: list[str]) -> list[tuple[Atom, list[Atom], list[Atom]]]:
    variables = sorted({v for atom in (rule.head, *rule.body) for v in atom.variables}, key=str)
    found = []
    for values in product(names, repeat=len(variables)):
        bound = dict(zip(variables, values, strict=True))
        if any(bound[left] == bound[right] for left, right in rule.different):
            continue

        def ground(atom: Atom, bound: dict[Variable, str] = bound) -> Atom:
            return Atom(atom.predicate, tuple(bound.get(term, term) for term in atom.terms))

        positive = [ground(atom) for atom in rule.body if not atom.negated]
        found.append((ground(rule.head), positive, [ground(atom) for atom in rule.body if atom.negated]))
    return found


def fixed_point(program: Program, facts: dict[Atom, float]) -> dict[Atom, float]:
    """Facts with the confidence of their best proof."""
    names = sorted({str(term) for atom in facts for term in atom.terms})
    names += sorted(
        {
            str(term)
            for rule in program.rules
            for atom in (rule.head, *rule.body)
            for term in atom.terms
            if not isinstance(term, Variable) and term not in names
        }
    )
    known = dict(facts)
    for stratum in program.strata:
        ground = [(rule.confidence, *one) for rule in stratum for one in instances(rule, names)]
        while True:
            better = {}
            for confidence, head, positive, negative in ground:
                if all(atom in known for atom in positive) and not any(atom in known for atom in negative):
                    sure = confidence
                    for atom in positive:
                        sure *= known[atom]
                    if sure > max(known.get(head, 0), better.get(head, 0)) + 1e-12:
                        better[head] = sure
            if not better:
                break
            known |= better
    return known


def heights(program: Program, facts: dict[Atom, float]) -> dict[Atom, int]:
    """The least height of a proof of each fact of a program without negation."""
    names = sorted({str(term) for atom in facts for term in atom.terms})
    ground = [one for rule in program.rules for one in instances(rule, names)]
    known = dict.fromkeys(facts, 0)
    for height in range(1, 1000):
        new = {h for h, positive, _ in ground if h not in known and all(atom in known for atom in positive)}
        if not new:
            break
        known |= dict.fromkeys(new, height)
    return known
