"""Rules as arrays: what compiled code counts and applies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llm_lab.knowledge.rules.grounding import LONGEST
from llm_lab.knowledge.rules.walks import Floats, Ints, Longs

NONE = -1  # no constant


@dataclass(frozen=True, kw_only=True)
class RuleSet:
    """Rules h(X,Y) <- path from X to Y, and h(X,c) <- path from X to d or to anything.

    Attributes:
        head: relation of the head [N]; from `relations` on it is an inverse, so that h(c,X) is h'(X,c).
        constant: c [N], -1 for a rule from X to Y.
        path: signed relations [N, 8], -1 behind the end.
        length: steps of the path [N].
        end: d [N], -1 where there is none.
        support: pairs for which body and head hold [N].
        body: pairs for which the body holds [N].
        confidence: support / (body + smoothing), or what a person wrote [N].
    """

    head: Ints
    constant: Ints
    path: Ints
    length: Ints
    end: Ints
    support: Longs
    body: Longs
    confidence: Floats

    def __len__(self) -> int:
        return len(self.head)

    def take(self, chosen: Longs | np.ndarray) -> RuleSet:
        """The rules at these places, or where a mask is true."""
        return RuleSet(**{name: values[chosen] for name, values in vars(self).items()})

    @classmethod
    def together(cls, parts: Sequence[RuleSet]) -> RuleSet:
        """All rules of several sets."""
        parts = [*parts] or [empty_rules()]
        return cls(
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])}
        )

    def by_confidence(self) -> RuleSet:
        """The most confident first; among equals the better supported, then the shorter."""
        return self.take(np.lexsort((self.length, -self.support, -self.confidence)))


def rules_of(
    *,
    head: np.ndarray,
    path: np.ndarray,
    support: np.ndarray,
    body: np.ndarray,
    smoothing: float,
    constant: np.ndarray | None = None,
    end: np.ndarray | None = None,
) -> RuleSet:
    """A set of rules whose paths [N, length] are equally long."""
    count, length = path.shape
    none = np.full(count, NONE)
    return RuleSet(
        head=head.astype(np.int32),
        constant=(none if constant is None else constant).astype(np.int32),
        path=np.pad(path, ((0, 0), (0, LONGEST - length)), constant_values=NONE).astype(np.int32),
        length=np.full(count, length, np.int32),
        end=(none if end is None else end).astype(np.int32),
        support=support.astype(np.int64),
        body=body.astype(np.int64),
        confidence=(support / np.maximum(body + smoothing, 1e-9)).astype(np.float32),
    )


def empty_rules() -> RuleSet:
    """No rule."""
    nothing = np.empty(0)
    return rules_of(head=nothing, path=np.empty((0, 0)), support=nothing, body=nothing, smoothing=0.0)


def reverse(path: Ints, length: Ints, relations: int) -> Ints:
    """Each path [N, longest] walked from its end to its start."""
    place = length[:, None] - 1 - np.arange(path.shape[1])
    back = np.take_along_axis(path, np.maximum(place, 0), axis=1)
    turned = np.where(back < relations, back + relations, back - relations)
    return np.where(place >= 0, turned, NONE).astype(np.int32)
