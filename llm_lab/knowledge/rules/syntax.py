"""Reads a rule from a line of text."""

from __future__ import annotations

import json
import re

from llm_lab.errors import DataError
from llm_lab.knowledge.rules.rule import PLAIN, VARIABLE, Atom, Rule, Term, Variable

TOKEN = re.compile(rf'\s*(?:(?P<sign><=|!=|[(),])|(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<plain>{PLAIN.pattern}))')
MOST = 2  # terms of an atom
Token = tuple[str, str]  # kind, text


class _Reader:
    """Takes tokens one by one; what does not fit is named with its place in the line."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.tokens = text, 0, list[tuple[Token, int]]()
        place = 0
        while text[place:].strip():
            match = TOKEN.match(text, place)
            if match is None:
                raise DataError(f"column {place + 1}: {text[place:].strip()[:20]!r} is not part of a rule")
            kind = str(match.lastgroup)
            self.tokens.append(((kind, match[kind]), match.start(kind)))
            place = match.end()

    def peek(self, ahead: int = 0) -> Token:
        """The next token; an empty one at the end."""
        return self.tokens[self.at + ahead][0] if self.at + ahead < len(self.tokens) else ("end", "")

    def take(self, wanted: str = "") -> Token:
        """The next token, which has to be the wanted sign."""
        token = self.peek()
        if (wanted and token != ("sign", wanted)) or (not wanted and token[0] in {"sign", "end"}):
            where = self.tokens[self.at][1] if token[0] != "end" else len(self.text)
            found = repr(token[1]) if token[0] != "end" else "the end"
            raise DataError(
                f"column {where + 1}: {repr(wanted) if wanted else 'a name'} is wanted, found {found}"
            )
        self.at += 1
        return token


def parse_rule(text: str, confidence: float = 1.0) -> Rule:
    """The rule of `head <= atom, not atom, X != Y`; a head alone is a fact.

    A capital letter, digits perhaps after it, is a variable; a name that has blanks or signs, or looks like a
    variable, stands in double quotes.

    Raises:
        DataError: the text is no rule; names the column.
    """
    reader = _Reader(text)
    head, body, different = _atom(reader), list[Atom](), list[tuple[Variable, Variable]]()
    if head.negated:
        raise DataError("the head of a rule cannot be negated")
    if reader.peek() == ("sign", "<="):
        reader.take("<=")
    while reader.peek()[0] != "end":
        if reader.peek(1) == ("sign", "!="):
            left = _variable(reader)
            reader.take("!=")
            different.append((left, _variable(reader)))
        else:
            body.append(_atom(reader))
        if reader.peek()[0] != "end":
            reader.take(",")
            if reader.peek()[0] == "end":
                reader.take()  # raises: a comma promises more
    return Rule(head, tuple(body), tuple(different), confidence)


def _atom(reader: _Reader) -> Atom:
    negated = reader.peek() == ("plain", "not") and reader.peek(1)[0] in {"plain", "quoted"}
    if negated:
        reader.take()
    predicate = _name(reader.take())
    reader.take("(")
    terms = [_term(reader.take())]
    while reader.peek() == ("sign", ","):
        reader.take(",")
        terms.append(_term(reader.take()))
    reader.take(")")
    if len(terms) > MOST:
        raise DataError(f"{predicate} has {len(terms)} terms; one or two are wanted")
    return Atom(predicate, tuple(terms), negated)


def _variable(reader: _Reader) -> Variable:
    term = _term(reader.take())
    if not isinstance(term, Variable):
        raise DataError(f"{term!r}: only variables are compared")
    return term


def _name(token: Token) -> str:
    kind, text = token
    if kind != "quoted":
        return text
    try:
        return str(json.loads(text))
    except ValueError as error:
        raise DataError(f"{text}: {error}") from error


def _term(token: Token) -> Term:
    return Variable(token[1]) if token[0] == "plain" and VARIABLE.fullmatch(token[1]) else _name(token)
