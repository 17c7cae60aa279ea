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
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_TAG = re.compile(r"([\w-]+):\s*(.*)")
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
                subject = value
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
                line = raw.strip()
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
        yield Fact(subject, TEXTS[tag], Value(_unescaped(text), LANGUAGE_STRING, language))
    elif tag in LINKS:
        yield Fact(subject, LINKS[tag], value.split(maxsplit=1)[0])
    elif tag == "relationship":
        relation, *target = value.split()
        if not target:
            raise UnusableError("no target", value)
        yield Fact(subject, relation, target[0])
    elif tag in LITERALS:
        yield Fact(subject, LITERALS[tag], Value(_unescaped(value)))


def _uncommented(value: str) -> str:
    """Without a trailing ``! comment`` or ``{modifiers}`` outside of quotes."""
    quoted = _QUOTED.match(value)
    head, rest = (quoted[0], value[quoted.end() :]) if quoted else ("", value)
    return (head + re.sub(r"(^|\s)(!|\{).*$", "", rest)).strip()


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t", "W": " "}.get(found[1], found[1]), text)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def write_obo(store: Store, path: Path) -> int:
    """Write the terms and relations of a graph's training split; returns how many facts OBO has no words for."""
    tags = {relation: tag for tag, relation in {**LINKS, **LITERALS, **TEXTS}.items()}
    kinds = {kind: stanza for stanza, kind in STANZAS.items()}
    left = 0
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write("format-version: 1.2\n")
        for head, facts in groupby(sorted(store.facts(split=TRAIN), key=_order), key=lambda fact: fact.head):
            every = list(facts)
            stanza = next(
                (kinds[one.tail] for one in every if one.relation == TYPE and one.tail in kinds), "Term"
            )
            stream.write(f"\n[{stanza}]\nid: {head}\n")
            for fact in every:
                if fact.relation == TYPE and fact.tail in kinds:
                    continue
                line = _line(fact, tags)
                left += line is None
                stream.write(line or "")
    return left


def _order(fact: Fact) -> tuple[str, bool, str, str]:
    return fact.head, fact.relation != LABEL, fact.relation, str(fact.tail)


def _line(fact: Fact, tags: dict[str, str]) -> str | None:
    tag = tags.get(fact.relation)
    if isinstance(fact.tail, str):
        return f"{tag}: {fact.tail}\n" if tag else f"relationship: {fact.relation} {fact.tail}\n"
    if tag is None or tag in LINKS:
        return None
    text = _escaped(fact.tail.text)
    scope = {"synonym": " EXACT []", "def": " []"}.get(tag)
    return f'{tag}: "{text}"{scope}\n' if scope else f"{tag}: {text}\n"
