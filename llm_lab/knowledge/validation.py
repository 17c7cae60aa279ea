"""What is odd about a graph: types, domains, ranges, literals, splits that give each other away."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from llm_lab.knowledge.fact import Fact, Value
from llm_lab.knowledge.ids import ids
from llm_lab.knowledge.leaks import inverses, leaks
from llm_lab.knowledge.names import DOMAIN, LABEL, RANGE, SUBCLASS, TYPE
from llm_lab.knowledge.store import Store
from llm_lab.knowledge.triples import Triples

EXAMPLES = 3
LITERAL = ("xsd:", "rdf:langString")
FORMS = {
    name: re.compile(form, re.ASCII)
    for name, form in {
        "xsd:integer": r"[+-]?\d+",
        "xsd:decimal": r"[+-]?(\d+(\.\d*)?|\.\d+)",
        "xsd:double": r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?INF|NaN",
        "xsd:boolean": r"true|false|0|1",
        "xsd:date": r"-?\d{4,}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])(Z|[+-]\d\d:\d\d)?",
    }.items()
}
NOTES = ("symmetric relation", "inverse relations", "ambiguous label", "duplicate")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is odd: its kind, where (a relation, a split), how often, and the first examples.

    Kinds of ``NOTES`` are worth knowing and no fault.
    """

    kind: str
    place: str
    count: int
    examples: tuple[str, ...] = ()

    @property
    def is_fault(self) -> bool:
        """Whether the graph is wrong, or its figures would be."""
        return self.kind not in NOTES


def validate(store: Store, *, duplicates: int = 0) -> list[Finding]:
    """Everything that is odd about a graph, in a fixed order.

    Args:
        store: the graph.
        duplicates: facts that its files hold twice, which a store cannot know any more.
    """
    types = _Types(store)
    found = [Finding(kind="duplicate", place="files", count=duplicates)] if duplicates else []
    found += [*_untyped(store, types), *_domains(store, types), *_literals(store)]
    found += [*_unreadable(store), *_ambiguous(store)]
    triples = ids(store)
    if "train" in triples.splits:
        found += [*_inverses(triples), *_splits(triples)]
    return found


class _Types:
    """The classes of each entity, with those above them."""

    def __init__(self, store: Store) -> None:
        self.above: dict[str, set[str]] = defaultdict(set)
        for fact in store.facts(relation=SUBCLASS):
            self.above[fact.head].add(str(fact.tail))
        self.of: dict[str, set[str]] = defaultdict(set)
        for fact in store.facts(relation=TYPE):
            self.of[fact.head] |= self.closure(str(fact.tail))

    def closure(self, name: str) -> set[str]:
        """The class and all above it; a circle ends."""
        seen, queue = {name}, [name]
        while queue:
            new = self.above.get(queue.pop(), set()) - seen
            seen |= new
            queue += new
        return seen


def _untyped(store: Store, types: _Types) -> Iterator[Finding]:
    if not types.of:
        return
    classes = {name for found in types.of.values() for name in found}
    bare = sorted(name for name in store.degrees if name not in types.of and name not in classes)
    if bare:
        yield Finding(kind="no type", place="entities", count=len(bare), examples=tuple(bare[:EXAMPLES]))


def _domains(store: Store, types: _Types) -> Iterator[Finding]:
    for kind in (DOMAIN, RANGE):
        wanted: dict[str, set[str]] = defaultdict(set)
        for fact in store.facts(relation=kind):
            wanted[fact.head].add(str(fact.tail))
        for relation, classes in sorted(wanted.items()):
            wrong = [
                fact for fact in store.facts(relation=relation) if not _fits(fact, kind, classes, types.of)
            ]
            if wrong:
                place = f"{relation}: {' or '.join(sorted(classes))}"
                yield _finding(f"outside its {kind.partition(':')[2]}", place, wrong)


def _fits(fact: Fact, kind: str, classes: set[str], types: Mapping[str, set[str]]) -> bool:
    """Whether an end of a fact is of one of the classes; one without a type is told of elsewhere."""
    if kind == DOMAIN:
        return fact.head not in types or bool(types[fact.head] & classes)
    if isinstance(fact.tail, Value):
        return fact.tail.datatype in classes
    if all(name.startswith(LITERAL) for name in classes):
        return False
    return fact.tail not in types or bool(types[fact.tail] & classes)


def _literals(store: Store) -> Iterator[Finding]:
    """Relations whose tails are of several kinds."""
    kinds: dict[str, dict[str, list[Fact]]] = defaultdict(lambda: defaultdict(list))
    counts: dict[str, int] = defaultdict(int)
    for fact in store.facts():
        kind = fact.tail.datatype if isinstance(fact.tail, Value) else "entity"
        kind = "xsd:string" if kind == "rdf:langString" else kind
        counts[f"{fact.relation} {kind}"] += 1
        if len(kinds[fact.relation][kind]) < EXAMPLES:
            kinds[fact.relation][kind].append(fact)
    for relation, found in sorted(kinds.items()):
        if len(found) > 1:
            rare = min(found, key=lambda kind: (counts[f"{relation} {kind}"], kind))
            yield Finding(
                kind="inconsistent types",
                place=f"{relation}: {' and '.join(sorted(found))}",
                count=counts[f"{relation} {rare}"],
                examples=tuple(map(_shown, found[rare])),
            )


def _unreadable(store: Store) -> Iterator[Finding]:
    """Literals whose text is none of their type: `old` as an integer."""
    wrong: dict[tuple[str, str], list[Fact]] = defaultdict(list)
    for fact in store.facts():
        if isinstance(fact.tail, Value) and fact.tail.datatype in FORMS:
            form = FORMS[fact.tail.datatype]
            if not form.fullmatch(fact.tail.text.strip()):
                wrong[fact.relation, fact.tail.datatype].append(fact)
    for (relation, kind), facts in sorted(wrong.items()):
        yield _finding("not of its type", f"{relation}: {kind}", facts)


def _ambiguous(store: Store) -> Iterator[Finding]:
    named: dict[tuple[str, str], set[str]] = defaultdict(set)
    for fact in store.facts(relation=LABEL):
        if isinstance(fact.tail, Value):
            named[fact.tail.text.casefold(), fact.tail.language].add(fact.head)
    several = sorted((label, names) for (label, _), names in named.items() if len(names) > 1)
    if several:
        shown = tuple(
            f"{label}: {', '.join(sorted(names)[:EXAMPLES])}" for label, names in several[:EXAMPLES]
        )
        yield Finding(kind="ambiguous label", place="labels", count=len(several), examples=shown)


def _inverses(triples: Triples) -> Iterator[Finding]:
    for (one, other), share in inverses(triples).items():
        names = triples.relations[one], triples.relations[other]
        count = int((triples.splits["train"][:, 1] == one).sum())
        kind = "symmetric relation" if one == other else "inverse relations"
        place = names[0] if one == other else " and ".join(names)
        yield Finding(kind=kind, place=f"{place} ({share:.0%})", count=round(share * count))


def _splits(triples: Triples) -> Iterator[Finding]:
    for split in (split for split in ("val", "test") if split in triples.splits):
        found, part = leaks(triples, split), triples.splits[split]
        if found.equal:
            yield Finding(kind="duplicate of training", place=split, count=found.equal)
        if found.reversed:
            shown = tuple(f"{name} {count}" for name, count in [*found.by_relation.items()][:EXAMPLES])
            place = f"{split} ({found.reversed / len(part):.1%})"
            yield Finding(kind="inverse in training", place=place, count=found.reversed, examples=shown)
        for kind, unseen, names in (
            ("unseen in training", triples.unseen(split), triples.entities),
            ("relation unseen in training", triples.unseen_relations(split), triples.relations),
        ):
            if len(unseen):
                shown = tuple(names[number] for number in unseen[:EXAMPLES].tolist())
                yield Finding(kind=kind, place=split, count=len(unseen), examples=shown)


def _finding(kind: str, place: str, wrong: list[Fact]) -> Finding:
    return Finding(kind=kind, place=place, count=len(wrong), examples=tuple(map(_shown, wrong[:EXAMPLES])))


def _shown(fact: Fact) -> str:
    tail = repr(fact.tail.text) if isinstance(fact.tail, Value) else fact.tail
    return f"{fact.head} {fact.relation} {tail}"
