"""Sequences of recordings: several rows joined into one, their sounds one after the other with pauses."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from llm_lab.data.multimodal.made import Made, Reader, RowStep, pair_of
from llm_lab.data.multimodal.sound import decode_sound, rate_of
from llm_lab.data.record import Record, Rejected
from llm_lab.errors import ConfigError, DataError

MOST_SECONDS = 60.0  # of one recording


@dataclass(frozen=True)
class Sequel(Made):
    """Recordings with seconds of silence between them, one pause fewer than there are recordings."""

    parts: tuple[str, ...]
    pauses: tuple[float, ...]

    def content(self, read: Reader) -> bytes:
        """A wave file at the rate of the first recording."""
        import soundfile

        contents = [read(part) for part in self.parts]
        rate = rate_of(contents[0])
        pieces = [decode_sound(contents[0], rate=rate, max_seconds=MOST_SECONDS)]
        for pause, one in zip(self.pauses, contents[1:], strict=True):
            pieces.append(np.zeros(round(pause * rate), np.float32))
            pieces.append(decode_sound(one, rate=rate, max_seconds=MOST_SECONDS))
        stream = io.BytesIO()
        soundfile.write(stream, np.concatenate(pieces), rate, format="WAV", subtype="PCM_16")
        return stream.getvalue()

    @property
    def files(self) -> tuple[str, ...]:
        """The recordings."""
        return self.parts

    def at(self, path: Callable[[str], str]) -> Sequel:
        """The same with other names."""
        return replace(self, parts=tuple(map(path, self.parts)))


class JoinRows(RowStep):
    """Draws rows of several rows, the same ones for the same seed.

    No recording comes twice in a row that is drawn. Draw from the rows of one split: sequences of one then share no
    recording with those of another.

    Args:
        rows: how many are drawn.
        count: least and most of how many each is made.
        sounds: column of the recordings.
        texts: column whose cells are joined by blanks.
        by: column whose value all rows of one have in common; None joins any.
        pauses: least and most seconds of silence between two.
        seed: of all of it.
    """

    def __init__(
        self,
        *,
        rows: int,
        count: Sequence[int],
        sounds: str,
        texts: str,
        by: str | None = None,
        pauses: Sequence[float] = (0.05, 0.2),
        seed: int = 0,
    ) -> None:
        least, most = pair_of(count, "count")
        if rows < 1 or least < 1:
            raise ConfigError(f"rows {rows}, count {list(count)}: of nothing no row can be drawn")
        self.wanted, self.least, self.most = rows, int(least), int(most)
        self.sounds, self.texts, self.by, self.seed = sounds, texts, by, seed
        self.pauses = pair_of(pauses, "pauses")

    def needed(self, columns: Sequence[str]) -> list[str]:
        """See `RowStep.needed`."""
        own = [self.sounds, self.texts, *([self.by] if self.by else [])]
        return list(dict.fromkeys([*columns, *own]))

    def rows(self, records: Iterator[Record | Rejected]) -> Iterator[Record | Rejected]:
        """See `RowStep.rows`."""
        groups: dict[str, list[Record]] = {}
        for record in records:
            if isinstance(record, Rejected):
                yield record
            else:
                groups.setdefault(str(record.values.get(self.by)) if self.by else "", []).append(record)
        for name, group in groups.items():
            if len(group) < self.most:
                whose = f" of {self.by} `{name}`" if self.by else ""
                raise DataError(f"{len(group)} rows{whose}, and up to {self.most} are to be joined")
        if groups:
            yield from self._drawn(groups)

    def _drawn(self, groups: dict[str, list[Record]]) -> Iterator[Record]:
        chance = np.random.default_rng(self.seed)
        names = list(groups)
        sizes = np.array([len(groups[name]) for name in names])
        for number in range(self.wanted):
            name = names[chance.choice(len(names), p=sizes / sizes.sum())]
            count = int(chance.integers(self.least, self.most + 1))
            places = chance.choice(len(groups[name]), size=count, replace=False)
            pauses = chance.uniform(*self.pauses, size=count - 1).round(3)
            yield self._joined([groups[name][place] for place in places], tuple(pauses.tolist()), number)

    def _joined(self, chosen: Sequence[Record], pauses: tuple[float, ...], number: int) -> Record:
        parts = tuple(str(record.values[self.sounds]) for record in chosen)
        texts = " ".join(str(record.values[self.texts]) for record in chosen)
        common = {self.by: chosen[0].values[self.by]} if self.by else {}
        values = {**common, self.sounds: Sequel(parts, pauses), self.texts: texts}
        return Record(" + ".join(parts), number + 1, values)
