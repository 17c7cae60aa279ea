"""What completes a triple."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO

import torch

from llm_lab.data.predict_input import JSON, read_rows
from llm_lab.knowledge.ranking import Answers
from llm_lab.models.graph.saved import read_scorer, spec_of, triples_of
from llm_lab.models.heads import Head
from llm_lab.predictors.predictor import Predictor, Row

ASKED = ("", "?")  # the end of a triple that is to be found
SHOWN = 10
HEADER = ("head", "relation", "tail")


class Completer(Predictor):
    """``answers``: the ten likeliest entities for the end of a triple that is empty or ``?``.

    Each answer has ``id``, ``label``, ``score`` and ``known``, whether the graph says so already. Names are
    identifiers or labels; for one that the graph does not have ``note`` proposes the nearest.
    """

    head = Head.ENCODER
    answers = ("answers", "note")

    def __init__(self, *, folder: Path, facts: Mapping[str, Any], batch_size: int = 256) -> None:
        self.facts, self.batch_size = facts, batch_size
        self.triples = triples_of(folder)
        self.model = read_scorer(folder, spec_of(folder))
        self.known = Answers.known(self.triples)

    @property
    def columns(self) -> list[str]:
        """Names of the columns of a triple."""
        return list(HEADER)

    @cached_property
    def names(self) -> tuple[dict[str, int], dict[str, int]]:
        """Ids of entities and relations by identifier and by label."""
        return self._named(self.triples.entities), self._named(self.triples.relations)

    def _named(self, identifiers: Sequence[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        for labels in self.triples.labels.values():
            found |= {labels[name]: number for number, name in enumerate(identifiers) if name in labels}
        return found | {name: number for number, name in enumerate(identifiers)}

    def read(self, source: str, column: str | None) -> Iterator[Row]:
        """Yield the rows of a table with the columns ``head``, ``relation``, ``tail``; or lines of three by tabs."""
        how = None if source == "-" or _has_header(Path(source)) else "text"
        for row in read_rows(source, column=column or HEADER[0], format=how):
            cells = next(iter(row.values())) if len(row) == 1 else None
            if isinstance(cells, str) and "\t" in cells:
                yield dict(zip(HEADER, [*cells.split("\t"), "", ""], strict=False))
            else:
                yield row

    def answer(self, rows: list[Row]) -> Iterator[Row]:
        """Yield an answer per row."""
        asked = [self._query(row) for row in rows]
        whole = [number for number, query in enumerate(asked) if isinstance(query, tuple)]
        found: dict[int, list[Row]] = {}
        for start in range(0, len(whole), self.batch_size):
            chosen = whole[start : start + self.batch_size]
            found |= dict(zip(chosen, self._complete([asked[number] for number in chosen]), strict=True))
        for number, query in enumerate(asked):
            note = query if isinstance(query, str) else ""
            yield {"answers": found.get(number, []), "note": note}

    @torch.inference_mode()
    def _complete(self, asked: Sequence[Any]) -> list[list[Row]]:
        sources, relations = torch.tensor(asked).unbind(1)
        scores = self.model.answer(sources, relations).float()
        values, best = scores.topk(min(SHOWN, scores.shape[1]), dim=1)
        known = torch.zeros_like(scores, dtype=torch.bool)
        known[self.known.cells(sources, relations)] = True
        listed = zip(best.tolist(), values.tolist(), known.gather(1, best).tolist(), strict=True)
        return [[self._told(*one) for one in zip(*row, strict=True)] for row in listed]

    def _told(self, number: int, score: float, known: bool) -> Row:  # noqa: FBT001 - a cell of a row
        name = self.triples.entities[number]
        return {"id": name, "label": self.triples.label(name), "score": round(score, 4), "known": known}

    def _query(self, row: Row) -> tuple[int, int] | str:
        """Source and relation of a row, or what is wrong with it."""
        head, relation, tail = (str(row.get(name) or "").strip() for name in HEADER)
        if (head in ASKED) == (tail in ASKED):
            return "one of head and tail is to be given, and `?` for the other"
        entities, relations = self.names
        given = tail if head in ASKED else head
        for name, names, kind in ((given, entities, "entity"), (relation, relations, "relation")):
            if name not in names:
                return f"no {kind} `{name}` in the graph{nearest(name, names)}"
        back = self.model.relations if head in ASKED else 0
        return entities[given], relations[relation] + back

    def write(self, rows: Iterator[Row], stream: TextIO, suffix: str) -> None:
        """Write JSON lines; otherwise CSV with a line per answer."""
        super().write(rows if suffix in JSON else _lines(rows), stream, suffix)


def _has_header(path: Path) -> bool:
    """Whether a table of tabs, or lines of text, begin with the names of columns; any other file has its own."""
    if path.suffix not in {".tsv", ".tab", ".txt"} or not path.is_file():
        return True
    with path.open(encoding="utf-8", errors="replace") as stream:
        return HEADER[1] in stream.readline().rstrip("\r\n").split("\t")


def _lines(rows: Iterator[Row]) -> Iterator[Row]:
    for row in rows:
        rest = {key: value for key, value in row.items() if key not in Completer.answers}
        for place, answer in enumerate(
            row["answers"] or [dict.fromkeys(("id", "label", "score", "known"), "")]
        ):
            yield {**rest, "place": place + 1 if row["answers"] else "", **answer, "note": row["note"]}


def nearest(name: str, names: Mapping[str, int]) -> str:
    """The end of an error line: the nearest names."""
    lower = {one.lower(): one for one in names}
    close = [lower[one] for one in get_close_matches(name.lower(), lower, n=3, cutoff=0.5)]
    return f"; did you mean {' or '.join(f'`{one}`' for one in close)}?" if close else ""
