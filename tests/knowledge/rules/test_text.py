"""Rules as text: written, read, edited, added, forbidden; a broken line is named."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_lab.errors import DataError
from llm_lab.knowledge.rules.chains import chain, differing, readable
from llm_lab.knowledge.rules.learner import learn_rules
from llm_lab.knowledge.rules.mining import Bounds
from llm_lab.knowledge.rules.rule import Atom, Rule, Variable
from llm_lab.knowledge.rules.ruleset import empty_rules
from llm_lab.knowledge.rules.syntax import parse_rule
from llm_lab.knowledge.rules.text import read_rules, revised, write_rules
from llm_lab.knowledge.rules.walks import walks_of
from llm_lab.knowledge.triples import Triples

NAMES = ("ann", "Bob Smith", "C", "d,e(f)", 'say "hi"', "张三")
ROWS = [(0, 0, 1), (1, 1, 0), (2, 0, 3), (3, 1, 2), (4, 0, 1), (1, 1, 4), (5, 0, 3), (3, 1, 5), (0, 0, 3)]
GRAPH = Triples(entities=NAMES, relations=("likes", "liked by"), splits={"train": np.array(ROWS, np.int32)})

terms = st.one_of(st.sampled_from([Variable("X"), Variable("Y2")]), st.text(min_size=1).filter(str.strip))
atoms = st.builds(
    Atom, st.text(min_size=1), st.lists(terms, min_size=1, max_size=2).map(tuple), st.booleans()
)


@given(atoms.map(lambda a: Atom(a.predicate, a.terms)), st.lists(atoms, max_size=3))
def test_what_is_printed_reads_back_as_the_same_rule(head: Atom, body: list[Atom]):
    rule = Rule(head, tuple(body), ((Variable("X"), Variable("Y2")),))
    assert parse_rule(str(rule)) == rule


@pytest.fixture
def learned():
    train = GRAPH.splits["train"]
    walks = walks_of(train, entities=len(NAMES), relations=2)
    bounds = Bounds(support=1, confidence=0.01, smoothing=1.0)
    return learn_rules(walks, train, cyclic=3, acyclic=2, bounds=bounds, seconds=60, threads=1)


def test_a_file_of_rules_reads_back_as_it_was_written(tmp_path, learned):
    write_rules(tmp_path / "rules.tsv", learned, GRAPH)
    own, forbidden = read_rules(tmp_path / "rules.tsv", GRAPH)
    assert len(forbidden) == 0 and len(own) == len(learned) > 20
    for name, values in vars(learned).items():
        np.testing.assert_allclose(getattr(own, name), values, rtol=1e-6)


def test_a_person_adds_changes_and_forbids_rules(tmp_path, learned):
    shown = [str(rule) for rule in readable(learned, NAMES, GRAPH.relations)]
    assert '"liked by"(X,Y) <= likes(Y,X)' in shown
    file = tmp_path / "own.tsv"
    file.write_text(
        "# mine\n"
        '!\t"liked by"(X,Y) <= likes(Y,X)\n'
        '0.25\tlikes(X,Y) <= "liked by"(Y,X)\n'
        "likes(ann,X) <= likes(X,ann)\n",
        encoding="utf-8",
    )
    after = revised(learned, *read_rules(file, GRAPH))
    now = {str(rule): rule.confidence for rule in readable(after, NAMES, GRAPH.relations)}
    assert '"liked by"(X,Y) <= likes(Y,X)' not in now
    assert now['likes(X,Y) <= "liked by"(Y,X)'] == 0.25
    assert now["likes(ann,X) <= likes(X,ann)"] == 1.0
    assert len(after) == len(learned)
    assert len(revised(empty_rules(), *read_rules(file, GRAPH))) == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("likes(X,Y) <= likes(Y", r"rules.tsv:2: column 22: '\)' is wanted, found the end"),
        ("likes(X,Y) <= liks(Y,X)", "rules.tsv:2: the graph has no relation 'liks'; nearest is 'likes'"),
        ("likes(X,anne) <= likes(X,Y)", "rules.tsv:2: the graph has no entity 'anne'; nearest is 'ann'"),
        ("likes(X,Y) <= likes(X,A)", "rules.tsv:2: the body ends in A and not in Y"),
        ("likes(X,Y) <= likes(A,Y)", r"rules.tsv:2: likes\(A,Y\) does not go on from X"),
        ("likes(X,Y) <= not likes(X,Y)", "rules.tsv:2: a negated atom"),
        ("2.5\tlikes(X,Y) <= likes(Y,X)", "rules.tsv:2: confidence 2.5 is not above 0 and up to 1"),
        ("much\tlikes(X,Y) <= likes(Y,X)", "rules.tsv:2: 'much' is no number"),
        ("likes(X,Y,Z) <=", "rules.tsv:2: likes has 3 terms; one or two are wanted"),
        ("likes(ann,ann) <=", "rules.tsv:2: .* at least one variable is wanted"),
    ],
)
def test_a_broken_line_is_named(tmp_path, line: str, message: str):
    (tmp_path / "rules.tsv").write_text(f"# mine\n{line}\n", encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_rules(tmp_path / "rules.tsv", GRAPH)


def test_a_learned_rule_becomes_one_for_reasoning():
    rule = differing(parse_rule("likes(X,Y) <= likes(X,A), likes(A,Y)", 0.5))
    assert str(rule) == "likes(X,Y) <= likes(X,A), likes(A,Y), A != X, A != Y, X != Y"
    assert len(chain(parse_rule("likes(X,Y) <= likes(X,A), likes(A,Y)"), GRAPH)) == 1


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("inf\t3\t0.5\tlikes(X,Y) <= likes(Y,X)", "inf counts nothing"),
        ("3\tnan\t0.5\tlikes(X,Y) <= likes(Y,X)", "nan counts nothing"),
        ("likes(X,Y) <= likes(X,A), likes(A,X), likes(X,Y)", r"likes\(A,X\) comes back to X"),
        ("likes(X,Y) <= likes(X,Y), likes(Y,A), likes(A,Y)", r"likes\(A,Y\) comes back to Y"),
        ("likes(X,\udce9) <= likes(X,A)", "not in UTF-8"),
    ],
)
def test_a_line_that_would_be_read_as_something_else_is_refused(tmp_path, line, told):
    (tmp_path / "rules.tsv").write_text(f"# mine\n{line}\n", encoding="utf-8", errors="surrogateescape")
    with pytest.raises(DataError, match=rf"rules\.tsv:2: .*{told}"):
        read_rules(tmp_path / "rules.tsv", GRAPH)


def test_of_a_rule_that_stands_there_twice_the_last_line_counts(tmp_path):
    rule = "likes(X,Y) <= likes(Y,X)"
    (tmp_path / "rules.tsv").write_text(f"\ufeff# mine\n0.9\t{rule}\n0.1\t{rule}\n", encoding="utf-8")
    own, _ = read_rules(tmp_path / "rules.tsv", GRAPH)
    assert own.confidence.tolist() == pytest.approx([0.1])
