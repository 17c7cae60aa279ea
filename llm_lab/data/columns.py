"""Which columns hold the text, its pair, the label and the split, and how a record becomes a clean row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_lab.data.labels import Reader
from llm_lab.data.record import Record, UnusableError
from llm_lab.data.source import SPLIT_NAMES, Source, nearest
from llm_lab.data.spec import Split
from llm_lab.data.text_files import check_text
from llm_lab.errors import ConfigError

ROLES = ("text", "pair", "label", "split", "group")


@dataclass(frozen=True, slots=True)
class CleanRow:
    """A usable row: ``values`` holds ``text``, each column it is joined from, and ``pair`` where there is one.

    Rows of one ``group`` never stand in several splits; without it a row is known by its text.
    """

    values: Mapping[str, str]
    label: str
    split: Split | None
    group: str | None = None


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Column names by role; text columns are joined by line breaks, labels may have a column each.

    ``pair`` is a second text, apart from the first: the hypothesis of a premise, the paraphrase of a sentence.
    ``group`` holds what rows have in common that must not stand in several splits: a patient, a page, a base form.
    """

    text: tuple[str, ...]
    label: tuple[str, ...]
    pair: str | None = None
    split: str | None = None
    group: str | None = None

    @classmethod
    def parse(cls, columns: Mapping[str, Any]) -> Columns:
        """Read the ``columns`` key; what it leaves out is called as its role.

        Raises:
            ConfigError: a role that there is not, or a text without a column.
        """
        for role in columns:
            if role not in ROLES:
                raise ConfigError(f"data.columns.{role}: unknown role{nearest(str(role), ROLES)}")
        text, label = _names(columns.get("text", "text")), _names(columns.get("label", "label"))
        if not text:
            raise ConfigError("data.columns.text: name the column that holds the text")
        optional = {role: columns.get(role) for role in ("split", "group")}
        return cls(text=text, label=label, pair=columns.get("pair"), **optional)

    def facts(self) -> dict[str, Any]:
        """What is asked of a table, to be hashed; without a group rows have the hash that they always had."""
        return {role: name for role, name in vars(self).items() if name or role != "group"}

    def needed(self, source: Source) -> list[str]:
        """The columns that a source must have, the text's first and the label's last."""
        split = [self.split] if self.split and not source.split else []
        hub = ["split"] if source.format == "hub" and not source.split and not self.split else []
        pair, group = ([name] if name else [] for name in (self.pair, self.group))
        return list(
            dict.fromkeys([*self.text, *pair, *group, *split, *hub, *(() if source.label else self.label)])
        )

    def clean(self, record: Record, source: Source, read_label: Reader) -> CleanRow | None:
        """Check one record; None where its label lies between the thresholds.

        Raises:
            UnusableError: empty or undecodable text, missing or unknown label or split.
        """
        texts = {name: _text(record.values.get(name)) for name in self.text}
        label = read_label(source.label if source.label is not None else self._label(record.values))
        if label is None:
            return None
        joined = "\n".join(texts.values())
        values = {"text": joined} if len(texts) == 1 else {**texts, "text": joined}
        if self.pair:
            values["pair"] = _text(record.values.get(self.pair))
        split = source.split or self._split(record.values, source)
        group = None if self.group is None else str(record.values.get(self.group))
        return CleanRow(values, label, split, group)

    def _label(self, values: Mapping[str, Any]) -> Any:
        if len(self.label) == 1:
            return values.get(self.label[0])
        return {name: values.get(name) for name in self.label}

    def _split(self, values: Mapping[str, Any], source: Source) -> Split | None:
        name = self.split or ("split" if source.format == "hub" else None)
        if name is None:
            return None
        word = str(values.get(name)).strip().lower()
        if word not in SPLIT_NAMES:
            raise UnusableError("unknown split", f"`{word}`{nearest(word, tuple(SPLIT_NAMES))}")
        return SPLIT_NAMES[word]


def _names(names: str | Sequence[str] | None) -> tuple[str, ...]:
    if names is None:
        return ()
    return (names,) if isinstance(names, str) else tuple(names)


def _text(value: Any) -> str:
    if value is None:
        raise UnusableError("empty text")
    if not isinstance(value, str):
        raise UnusableError("text is not a string", value)
    return check_text(value)
