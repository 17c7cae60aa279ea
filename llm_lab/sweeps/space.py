"""Search spaces in Hydra's own grammar: `choice()`, `range()`, `interval()`, `tag(log, ...)`, `a,b`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Value = str | int | float
DIGITS = 4  # of a sampled number: enough to tell two runs apart, few enough to type again


@dataclass(frozen=True, kw_only=True)
class Axis:
    """What one word of a sweep ranges over: some texts, or the numbers of an interval or a range.

    Attributes:
        key: what stands before the equals sign, with its plus signs.
        texts: the values as words; empty for an interval.
        low: lower end, for numbers.
        high: upper end, itself a value.
        step: distance of the values of a range; None for any number between the ends.
        log: whether orders of magnitude count rather than differences.
        integer: whole numbers only.
    """

    key: str
    texts: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: int | None = None
    log: bool = False
    integer: bool = False

    @property
    def name(self) -> str:
        """The key as it stands in the config."""
        return self.key.lstrip("+").partition("@")[0]

    @property
    def numeric(self) -> bool:
        """Whether values have an order that a sampler can use."""
        return not self.texts or self.step is not None

    def distribution(self) -> BaseDistribution:
        """The same for Optuna."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if not self.numeric:
            return CategoricalDistribution(self.texts)
        if self.integer:
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=self.step or 1)
        return FloatDistribution(self.low, self.high, log=self.log)

    def rounded(self, value: Value) -> Value:
        """A sampled value with few digits, inside the ends."""
        if not self.numeric or self.integer:
            return value
        return min(max(float(f"{float(value):.{DIGITS}g}"), self.low), self.high)

    def word(self, value: Value) -> str:
        """The word that sets the value."""
        text = repr(value) if isinstance(value, float) else str(value)
        return f"{self.key}={text}"


def axis_of(override: Override) -> Axis:
    """The axis of a word that stands for several values; with one value only where it stands for one."""
    key, value = str(override.get_key_element()), override.value()
    if isinstance(value, IntervalSweep):
        low, high = value.start or 0, value.end or 0
        whole = isinstance(low, int) and isinstance(high, int)
        return Axis(key=key, low=low, high=high, log="log" in value.tags, integer=whole)
    if not override.is_sweep_override():
        return Axis(key=key, texts=(str(override.get_value_element_as_str()),))
    texts = tuple(override.sweep_string_iterator())
    if isinstance(value, RangeSweep) and not value.shuffle and isinstance(value.step, int) and value.step > 0:
        numbers = [int(text) for text in texts if text.lstrip("-").isdigit()]
        if numbers and len(numbers) == len(texts):
            low, high = numbers[0], numbers[-1]
            return Axis(key=key, texts=texts, low=low, high=high, step=value.step, integer=True)
    return Axis(key=key, texts=texts)


def parse(
    words: Sequence[str], params: Mapping[str, object], parser: OverridesParser
) -> tuple[list[str], list[Axis]]:
    """The words that are the same for every job, and the axes of the others.

    Args:
        words: the command line's, which win.
        params: ``hydra.sweeper.params``.
        parser: Hydra's, with the config loader for ``glob()``.
    """
    overrides = parser.parse_overrides([*as_words(params), *words])
    by_key = {override.key_or_group: override for override in overrides}
    fixed = [str(item.input_line) for item in by_key.values() if not item.is_sweep_override()]
    return fixed, [axis_of(item) for item in by_key.values() if item.is_sweep_override()]


def as_words(params: Mapping[str, object]) -> list[str]:
    """``hydra.sweeper.params`` as words."""
    return [f"{key}={value}" for key, value in params.items()]


def combinations(axes: Sequence[Axis]) -> Iterator[dict[str, Value]]:
    """Every combination of the values of discrete axes, the last axis fastest, as Hydra's sweeper does."""
    for texts in itertools.product(*(axis.texts for axis in axes)):
        yield {axis.key: text for axis, text in zip(axes, texts, strict=True)}


def job_words(axes: Sequence[Axis], values: Mapping[str, Value]) -> list[str]:
    """The words that set one combination."""
    return [axis.word(values[axis.key]) for axis in axes]
