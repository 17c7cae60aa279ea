"""The file of rules: a rule a line, to be read, edited, added to and forbidden by hand.

Fields are separated by tabs: support, pairs of the body, confidence, rule. A person may write the confidence and the
rule only, or the rule alone (a hard rule: confidence 1). A line `!`, tab, rule forbids a rule, whoever found it. `#`
begins a comment line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from llm_lab.data.text_files import open_text
from llm_lab.errors import DataError
from llm_lab.knowledge.rules.chains import chain, readable
from llm_lab.knowledge.rules.rule import Rule
from llm_lab.knowledge.rules.ruleset import RuleSet
from llm_lab.knowledge.rules.syntax import parse_rule
from llm_lab.knowledge.triples import Triples

HEADER = "# support\tbody\tconfidence\trule (add your own: confidence<TAB>rule; forbid one: !<TAB>rule)\n"
FORBIDDEN = "!"
MOST = 2**62  # pairs that can be counted


@dataclass(frozen=True)
class Line:
    """A rule of a file, with the counts that stand before it."""

    place: str
    rule: Rule
    support: int = 0
    body: int = 0
    forbidden: bool = False


def write_rules(file: Path, rules: RuleSet, triples: Triples) -> None:
    """All rules in their order."""
    readers = readable(rules, triples.entities, triples.relations)
    counts = zip(rules.support.tolist(), rules.body.tolist(), rules.confidence.tolist(), strict=True)
    with file.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(HEADER)
        stream.writelines(
            f"{support}\t{body}\t{confidence:.7g}\t{rule}\n"
            for (support, body, confidence), rule in zip(counts, readers, strict=True)
        )


def read_lines(file: Path) -> Iterator[Line]:
    """The rules of a file.

    Raises:
        DataError: a line is none; names the file and the line.
    """
    with open_text(file, encoding="utf-8", newline="\n") as stream:
        for number, text in enumerate(stream, 1):
            if text.strip() and not text.startswith("#"):
                place = f"{file}:{number}"
                try:
                    yield _line(_decoded(text).rstrip("\r\n"), place)
                except DataError as error:
                    raise DataError(f"{place}: {error}") from error


def _decoded(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise DataError("the line is not in UTF-8") from None
    return text


def _line(text: str, place: str) -> Line:
    *fields, rule = text.split("\t")
    if fields == [FORBIDDEN]:
        return Line(place, parse_rule(rule), forbidden=True)
    if len(fields) not in {0, 1, 3}:
        raise DataError(
            f"{len(fields)} fields before the rule; support, body and confidence, or the last alone"
        )
    confidence = _number(fields[-1]) if fields else 1.0
    if not 0 < confidence <= 1:
        raise DataError(f"confidence {confidence:g} is not above 0 and up to 1")
    support, body = (_count(field) for field in fields[:2]) if len(fields) > 1 else (0, 0)
    return Line(place, parse_rule(rule, confidence), support, body)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise DataError(f"{text!r} is no number") from error


def _count(text: str) -> int:
    found = _number(text)
    if not 0 <= found <= MOST:
        raise DataError(f"{text} counts nothing")
    return int(found)


def read_rules(file: Path, triples: Triples) -> tuple[RuleSet, RuleSet]:
    """Rules of a file as arrays, and those that it forbids; of a rule that stands there twice the last line counts.

    Raises:
        DataError: a line is no rule over this graph; names the file and the line.
    """
    kept, forbidden = list[RuleSet](), list[RuleSet]()
    for line in read_lines(file):
        try:
            one = chain(line.rule, triples)
        except DataError as error:
            raise DataError(f"{line.place}: {error}") from error
        counted = replace(
            one,
            support=np.array([line.support]),
            body=np.array([line.body]),
            confidence=np.array([line.rule.confidence], np.float32),
        )
        (forbidden if line.forbidden else kept).append(counted)
    return _last(RuleSet.together(kept)), RuleSet.together(forbidden)


def _last(rules: RuleSet) -> RuleSet:
    places = {key: place for place, key in enumerate(_keys(rules))}
    return rules.take(np.array(sorted(places.values()), np.int64))


def revised(learned: RuleSet, own: RuleSet, forbidden: RuleSet) -> RuleSet:
    """Learned rules with a person's own in place of equal ones, and without the forbidden, the best first."""
    banned, mine = {*_keys(forbidden)}, {*_keys(own)}
    rest = np.array([key not in banned and key not in mine for key in _keys(learned)], bool)
    allowed = np.array([key not in banned for key in _keys(own)], bool)
    return RuleSet.together([learned.take(rest), own.take(allowed)]).by_confidence()


def _keys(rules: RuleSet) -> Iterator[tuple[int, ...]]:
    """What makes two rules the same."""
    return map(tuple, np.column_stack([rules.head, rules.constant, rules.end, rules.path]).tolist())
