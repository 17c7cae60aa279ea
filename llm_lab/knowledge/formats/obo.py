"""OBO ontologies, as HPO and GO are published (http://owlcollab.github.io/oboformat/doc/obo-syntax.html)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from pyoxigraph import Quad

from llm_lab.data.record import Rejected, UnusableError
from llm_lab.data.text_files import open_text
from llm_lab.knowledge.fact import LANGUAGE_STRING, TRAIN, Fact, Value
from llm_lab.knowledge.formats.said import said
from llm_lab.knowledge.formats.source import GraphSource
from llm_lab.knowledge.names import ALIAS, DESCRIPTION, INVERSE, LABEL, SUBCLASS, TYPE
from llm_lab.knowledge.store import Store

CLASS, PROPERTY = "owl:Class", "owl:ObjectProperty"
STANZAS = {"Term": CLASS, "Typedef": PROPERTY, "Instance": "owl:NamedIndividual"}
TEXTS = {"name": LABEL, "synonym": ALIAS, "def": DESCRIPTION}
LINKS = {
    "is_a": SUBCLASS,
    "instance_of": TYPE,
    "inverse_of": INVERSE,
    "domain": "rdfs:domain",
    "range": "rdfs:range",
}
LITERALS = {"xref": "xref", "alt_id": "alt_id", "comment": "rdfs:comment"}
TAGS = {relation: tag for tag, relation in {**LINKS, **LITERALS, **TEXTS}.items()}
SCOPES = {"synonym": " EXACT []", "def": " []"}  # of quoted texts
LANGUAGE = "en"  # of texts, where the source says no other
WHITE = " \t\r\n"
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_TAG = re.compile(r"([\w-]+):[ \t]*(.*)")
_BLANKS = re.compile(r"[ \t]+")
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "W": " "}  # after a backslash; anything else stands for itself
_ESCAPES = {mark: letter for letter, mark in _LETTERS.items()}
# What must be escaped in an identifier, between quotes, and in a text without quotes.
_OF_NAMES = re.compile(r'[\\ \t\n\r"!{]')
_OF_QUOTED = re.compile(r'[\\\n\r"]')
_OF_BARE = re.compile(r'[\\\n\r"!{]|^[ \t]|[ \t]$')
_STANZA = re.compile(r"\[(\w+)\]")


def read_obo(path: Path, source: GraphSource) -> Iterator[Quad | Rejected]:
    """Yield labels, synonyms, definitions, ``is_a`` (as ``rdfs:subClassOf``), relationships, cross-references.

    A line without a tag, a text without quotes, a tag before the ``id`` of its stanza and what no graph can hold are
    rejected. Of obsolete terms nothing is taken.
    """
    for kind, lines in _stanzas(path):
        found: list[Quad | Rejected] = []
        subject, obsolete = "", False
        for number, line in lines:
            tag = _TAG.fullmatch(line)
            value = _uncommented(tag[2]) if tag else ""
            if tag and tag[1] == "id" and value:
                subject = _unescaped(value)
                found += said([Fact(subject, TYPE, STANZAS[kind])], file=path.name, line=number)
            elif tag and tag[1] == "is_obsolete":
                obsolete = value == "true"
            elif not (tag and value and subject):
                found.append(Rejected(path.name, number, "broken line", line))
            else:
                found += said(_facts(subject, tag[1], value, source.language), file=path.name, line=number)
        yield from (one for one in found if not obsolete or isinstance(one, Rejected))


def _stanzas(path: Path) -> Iterator[tuple[str, Iterator[tuple[int, str]]]]:
    """The kind of each stanza that is known, with its numbered lines; the header has none."""
    kind, count = "", 0
    with open_text(path, encoding="utf-8", newline="\n") as stream:

        def numbered() -> Iterator[tuple[int, str, int, str]]:
            nonlocal kind, count
            for number, raw in enumerate(stream, start=1):
                line = raw.strip(WHITE)
                if found := _STANZA.fullmatch(line):
                    kind, count = found[1], count + 1
                elif line and not line.startswith("!"):
                    yield count, kind, number, line

        for (_, name), group in groupby(numbered(), key=lambda row: row[:2]):
            if name in STANZAS:
                yield name, ((number, line) for _, _, number, line in group)


def _facts(subject: str, tag: str, value: str, language: str) -> Iterator[Fact]:
    """The fact of a line; none where the tag is not one of those taken."""
    if tag in TEXTS:
        quoted = _QUOTED.match(value)
        if tag != "name" and quoted is None:
            raise UnusableError("no quoted text", value)
        text = value if quoted is None or tag == "name" else quoted[1]
        yield Fact(subject, TEXTS[tag], _text(tag, _unescaped(text), language))
    elif tag in LINKS:
        yield Fact(subject, LINKS[tag], _unescaped(_BLANKS.split(value)[0]))
    elif tag == "relationship":
        relation, *target = map(_unescaped, _BLANKS.split(value))
        if not target:
            raise UnusableError("no target", value)
        yield Fact(subject, relation, target[0])
    elif tag in LITERALS:
        yield Fact(subject, LITERALS[tag], _text(tag, _unescaped(value)))


def _uncommented(value: str) -> str:
    """Without a trailing ``! comment`` or ``{modifiers}`` outside of quotes."""
    quoted = _QUOTED.match(value)
    head, rest = (quoted[0], value[quoted.end() :]) if quoted else ("", value)
    return (head + re.sub(r"(^|[ \t])(!|\{).*$", "", rest)).strip(WHITE)


def _text(tag: str, text: str, language: str = LANGUAGE) -> Value:
    """What the text of a tag is read as."""
    return Value(text, LANGUAGE_STRING, language) if tag in TEXTS else Value(text)


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: _LETTERS.get(found[1], found[1]), text)


def _escaped(text: str, marks: re.Pattern[str]) -> str:
    return marks.sub(lambda found: "\\" + _ESCAPES.get(found[0], found[0]), text)


def write_obo(store: Store, path: Path) -> tuple[int, int]:
    """Write the terms and relations of a graph's training split.

    Returns:
        How many facts OBO has no words for, and of how many it does not keep the language or the type.
    """
    kinds = {kind: stanza for stanza, kind in STANZAS.items()}
    left = changed = 0
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write("format-version: 1.2\n")
        for head, facts in groupby(sorted(store.facts(split=TRAIN), key=_order), key=lambda fact: fact.head):
            every = list(facts)
            kind = next((one.tail for one in every if one.relation == TYPE and one.tail in kinds), CLASS)
            stream.write(f"\n[{kinds[str(kind)]}]\nid: {_escaped(head, _OF_NAMES)}\n")
            for fact in every:
                if fact.relation == TYPE and fact.tail == kind:
                    continue
                line = _line(fact)
                left += line is None
                changed += line is not None and _is_changed(fact)
                stream.write(line or "")
    return left, changed


def _order(fact: Fact) -> tuple[str, bool, str, str]:
    return fact.head, fact.relation != LABEL, fact.relation, str(fact.tail)


def _line(fact: Fact) -> str | None:
    tag = TAGS.get(fact.relation)
    if isinstance(fact.tail, str):
        tail = _escaped(fact.tail, _OF_NAMES)
        return (
            f"{tag}: {tail}\n"
            if tag in LINKS
            else f"relationship: {_escaped(fact.relation, _OF_NAMES)} {tail}\n"
        )
    if tag in SCOPES:
        return f'{tag}: "{_escaped(fact.tail.text, _OF_QUOTED)}"{SCOPES[tag]}\n'
    if tag is None or tag in LINKS or not fact.tail.text:
        return None
    return f"{tag}: {_escaped(fact.tail.text, _OF_BARE)}\n"


def _is_changed(fact: Fact) -> bool:
    """Whether a fact comes back with another language or type."""
    return isinstance(fact.tail, Value) and fact.tail != _text(TAGS[fact.relation], fact.tail.text)
