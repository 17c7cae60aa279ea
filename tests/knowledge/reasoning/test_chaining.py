"""Forward and backward chaining against the definition, and every proof checked step by step."""

from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_lab.errors import DataError
from llm_lab.knowledge.reasoning.backward import backward
from llm_lab.knowledge.reasoning.draw import dot, svg
from llm_lab.knowledge.reasoning.facts import Facts
from llm_lab.knowledge.reasoning.forward import Limits, forward
from llm_lab.knowledge.reasoning.program import Program
from llm_lab.knowledge.reasoning.proof import Proof, faults, prove
from llm_lab.knowledge.rules.rule import Atom, Rule, Variable
from llm_lab.knowledge.rules.syntax import parse_rule
from tests.knowledge.reasoning.naive import fixed_point, heights

NAMES = ["a", "b", "c", "d"]
ARITY = {"p": 2, "q": 2, "s": 1, "t": 2, "u": 1, "n": 1, "m": 2}
BASE, DERIVED, ABOVE = ["p", "q", "s"], ["t", "u"], ["n", "m"]
VARIABLES = [Variable(letter) for letter in "XYZ"]


def atoms(predicates: list[str], terms: st.SearchStrategy) -> st.SearchStrategy[Atom]:
    return st.sampled_from(predicates).flatmap(
        lambda name: st.tuples(*[terms] * ARITY[name]).map(lambda chosen: Atom(name, chosen))
    )


@st.composite
def a_rule(draw: st.DrawFn, heads: list[str], bodies: list[str], negated: list[str]) -> Rule:
    terms = st.one_of(st.sampled_from(VARIABLES), st.sampled_from(NAMES[:2]))
    body = draw(st.lists(atoms(bodies, terms), min_size=1, max_size=3))
    bound = sorted({v for atom in body for v in atom.variables}, key=str)
    safe = st.sampled_from([*bound, "a"])
    head = draw(atoms(heads, safe))
    if negated and draw(st.booleans()):
        one = draw(atoms(negated, safe))
        body.append(Atom(one.predicate, one.terms, negated=True))
    different = ((bound[0], bound[1]),) if len(bound) > 1 and draw(st.booleans()) else ()
    return Rule(head, tuple(body), different, draw(st.sampled_from([1.0, 1.0, 0.5, 0.8])))


@st.composite
def programs(draw: st.DrawFn) -> Program:
    below = draw(st.lists(a_rule(DERIVED, BASE + DERIVED, []), min_size=1, max_size=4))
    above = draw(st.lists(a_rule(ABOVE, BASE + DERIVED + ABOVE, ["s", *DERIVED]), max_size=3))
    facts = [parse_rule(f"{name}({','.join('ab'[: ARITY[name]])})") for name in ARITY]
    return Program((*below, *above, *facts), {"s", *DERIVED})


facts = st.lists(atoms(BASE, st.sampled_from(NAMES)), min_size=1, max_size=10)
soon = settings(max_examples=60, deadline=None)


def table_of(program: Program, known: list[Atom]) -> Facts:
    return Facts.of(known, [atom for rule in program.rules for atom in rule.body])


def everything(facts: Facts) -> dict[Atom, float]:
    return {atom: sure for name in facts.tables for atom, sure in facts.atoms(name).items()}


@given(programs(), facts)
@soon
def test_forward_chaining_ends_in_the_fixed_point_of_the_definition(program: Program, known: list[Atom]):
    derived = forward(program, table_of(program, known))
    assert derived.complete
    assert everything(derived.facts) == pytest.approx(fixed_point(program, dict.fromkeys(known, 1.0)))


@given(programs(), facts)
@soon
def test_every_proof_checks(program: Program, known: list[Atom]):
    derived = forward(program, table_of(program, known))
    holding = everything(derived.facts)
    for fact in holding:
        proof = prove(derived, fact)
        assert faults(proof, dict.fromkeys(known, 1.0), holding) == []
        assert set(proof.base()) <= {*known}


@given(programs(), facts, st.data())
@soon
def test_backward_answers_are_those_of_forward_chaining(
    program: Program, known: list[Atom], data: st.DataObject
):
    table = table_of(program, known)
    question = data.draw(atoms([*ARITY], st.sampled_from([*VARIABLES[:2], "a", "b"])))
    holding = everything(forward(program, table).facts)
    answer = backward(question, program, table)
    assert answer.complete
    assert answer.facts == pytest.approx(
        {fact: sure for fact, sure in holding.items() if matches(question, fact)}
    )
    for fact in answer.facts:
        assert faults(answer.proof(fact), dict.fromkeys(known, 1.0), holding) == []


def matches(question: Atom, fact: Atom) -> bool:
    bound: dict[object, object] = {}
    return question.predicate == fact.predicate and all(
        bound.setdefault(term, name) == name if isinstance(term, Variable) else term == name
        for term, name in zip(question.terms, fact.terms, strict=True)
    )


@given(st.lists(a_rule(DERIVED, BASE + DERIVED, []), min_size=1, max_size=4), facts, st.integers(0, 4))
@soon
def test_with_a_depth_the_answers_are_the_facts_with_a_proof_so_high(
    rules: list[Rule], known: list[Atom], depth: int
):
    given_too = [parse_rule(f"{name}({','.join('ab'[: ARITY[name]])})").head for name in BASE]
    program = Program((*rules, parse_rule("t(a,b)"), parse_rule("u(a)")))
    known = [*known, *given_too]
    least = heights(program, dict.fromkeys(known, 1.0))
    table = table_of(program, known)
    answer = backward(Atom("t", (Variable("X"), Variable("Y"))), program, table, depth=depth)
    assert {*answer.facts} == {
        fact for fact, height in least.items() if fact.predicate == "t" and height <= depth
    }


FAMILY = [parse_rule(f"parent({left},{right})").head for left, right in ("ab", "bc", "cd", "ce")]
KIN = Program(
    (
        parse_rule("ancestor(X,Y) <= parent(X,Y)"),
        parse_rule("ancestor(X,Z) <= ancestor(X,Y), ancestor(Y,Z)"),
        parse_rule("sibling(X,Y) <= parent(A,X), parent(A,Y), X != Y", 0.9),
    )
)


def test_a_proof_reads_as_a_tree_and_can_be_drawn():
    proof = prove(forward(KIN, Facts.of(FAMILY)), parse_rule("sibling(d,e)").head)
    assert str(proof).splitlines() == [
        "sibling(d,e)  [0.9]  by sibling(X,Y) <= parent(A,X), parent(A,Y), X != Y",
        "├─ parent(c,d)  given",
        "└─ parent(c,e)  given",
    ]
    assert dot(proof).startswith("digraph proof {") and dot(proof).count("->") == 2
    picture = svg(proof)
    assert picture.startswith("<?xml") and "<svg" in picture and 'href="http' not in picture


def test_a_false_proof_is_found_out():
    real = prove(forward(KIN, Facts.of(FAMILY)), parse_rule("sibling(d,e)").head)
    wrong = Proof(parse_rule("sibling(d,d)").head, real.confidence, real.rule, real.premises)
    assert faults(wrong, dict.fromkeys(FAMILY, 1.0)) == [f"{wrong.fact} is no instance of {real.rule}"]
    assert faults(real, {}) == ["parent(c,d) was not given", "parent(c,e) was not given"]


def test_a_question_derives_only_what_it_needs():
    chain = [Atom("parent", (f"p{n}", f"p{n + 1}")) for n in range(60)]
    linear = Program((KIN.rules[0], parse_rule("ancestor(X,Z) <= parent(X,Y), ancestor(Y,Z)")))
    answer = backward(parse_rule("ancestor(p55,Y)").head, linear, Facts.of(chain))
    assert len(answer.facts) == 5
    assert len(answer.derived.facts.atoms("ancestor")) == 15


def test_what_does_not_follow_is_said():
    with pytest.raises(DataError, match=r"ancestor\(d,a\) does not follow"):
        prove(forward(KIN, Facts.of(FAMILY)), parse_rule("ancestor(d,a)").head)


def test_a_partial_answer_says_so():
    steps = [Atom("next", (f"n{n}", f"n{n + 1}")) for n in range(300)]
    path = Program((parse_rule("path(X,Y) <= next(X,Y)"), parse_rule("path(X,Z) <= path(X,Y), next(Y,Z)")))
    derived = forward(path, Facts.of(steps), Limits(facts=5_000))
    assert not derived.complete and derived.reason == "there are more than 5000 facts"
    for fact in [*derived.facts.atoms("path")][::500]:
        assert faults(prove(derived, fact), dict.fromkeys(steps, 1.0)) == []
    late = forward(path, Facts.of(steps), Limits(seconds=0))
    assert not late.complete and late.reason == "the time of 0 s was up"
    with pytest.raises(DataError, match="as far as was derived: the time of 0 s was up"):
        prove(late, parse_rule("path(n0,n9)").head)


@pytest.mark.parametrize(
    ("rules", "closed", "message"),
    [
        (
            ["p(X) <= q(X), not p(X)"],
            {"p"},
            r"not stratified: 'p' depends on its own negation, as in p\(X\) <= ",
        ),
        (["p(X) <= q(X), not r(X)", "r(X) <= p(X)"], {"r"}, "not stratified"),
        (["p(X) <= q(X), not q(X)"], set(), "'q' is not closed, so its absence says nothing"),
        (["p(X,Y) <= q(X)"], set(), "no positive atom of the body binds Y"),
        (["p(X) <= qq(X)"], set(), "no fact and no rule has 'qq'; nearest is 'q'"),
        (["p(X) <= q(X,X)"], set(), "'q' has 1 terms elsewhere, and 2 here"),
    ],
)
def test_a_program_that_cannot_be_run_is_one_clear_error(rules: list[str], closed: set[str], message: str):
    with pytest.raises(DataError, match=message):
        forward(Program(tuple(map(parse_rule, rules)), closed), Facts.of([Atom("q", ("a",))]))


def test_a_question_with_too_few_terms_is_one_clear_error():
    with pytest.raises(DataError, match="'parent' has 2 terms in the facts"):
        backward(Atom("parent", (Variable("X"),)), KIN, Facts.of(FAMILY))


def test_what_is_found_again_and_again_takes_no_room(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("llm_lab.knowledge.reasoning.forward.BATCH", 20)
    given = [Atom("p", (f"n{n}", f"n{n % 7}")) for n in range(60)]
    rules = ("q(X) <= p(X,A), p(Y,A)", "q(Y) <= p(X,A), p(Y,B)", "t(A) <= p(X,A), q(X)")
    derived = forward(Program(tuple(map(parse_rule, rules))), Facts.of(given), Limits(facts=4_000))
    assert derived.complete
    assert (len(derived.facts.atoms("q")), len(derived.facts.atoms("t"))) == (60, 7)
    for fact in derived.facts.atoms("t"):
        assert faults(prove(derived, fact), dict.fromkeys(given, 1.0)) == []


@pytest.mark.parametrize("rule", ["q(X,Y) <= p(X,A), p(Y,B)", "q(X,Y) <= q(X,A), q(A,Y)"])
def test_a_round_of_very_many_facts_ends_soon_after_its_time(rule: str, monkeypatch: pytest.MonkeyPatch):
    """By a clock that ticks when it is looked at: what lies between two looks is a slice or a batch."""
    for name in ("forward.BATCH", "join.SLICE"):
        monkeypatch.setattr(f"llm_lab.knowledge.reasoning.{name}", 50)
    given = [Atom("p", (f"n{n}", f"n{(n + 1) % 100}")) for n in range(100)]
    program = Program((parse_rule("q(X,Y) <= p(X,Y)"), parse_rule(rule)))
    time = count()
    monkeypatch.setattr("llm_lab.knowledge.reasoning.forward.monotonic", lambda: next(time))
    late = forward(program, Facts.of(given), Limits(seconds=60))
    monkeypatch.undo()
    assert not late.complete and late.reason == "the time of 60 s was up"
    found = late.facts.atoms("q")
    assert 500 < len(found) <= 60 * 50  # of 10,000
    whole = forward(program, Facts.of(given))
    assert whole.complete and {*found} < {*whole.facts.atoms("q")}
    for fact in [*found][::100]:
        assert faults(prove(late, fact), dict.fromkeys(given, 1.0)) == []
