"""Relations that a tagged text speaks of, in the order in which they are followed from its entity."""

from __future__ import annotations

from collections.abc import Sequence

from llm_lab.data.tags import entities, normal


def relation_path(tags: Sequence[str], entity: int) -> list[str]:
    """The relations of a question about one entity, the first step first.

    English has them behind the entity in their order, each a genitive of the one before ("Ann's mother's town"),
    and before it in reverse ("the town of Ann's mother").

    Args:
        tags: of the words, types are relations.
        entity: number of the word that names the entity.
    """
    found = entities([normal(tag) for tag in tags])
    behind = [kind for kind, first, _ in found if first > entity]
    before = [kind for kind, _, last in found if last < entity]
    return behind + before[::-1]
