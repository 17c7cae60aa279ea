"""A split as one stream of tokens in a file, with the places where documents and sources begin."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from llm_lab.data.table import IntArray


class StreamWriter:
    """Writes documents one behind the other.

    Args:
        folder: gets ``SPLIT.tokens`` (int32) and ``SPLIT.starts.npz``.
        split: name of the split.
    """

    def __init__(self, *, folder: Path, split: str) -> None:
        self._path = folder / f"{split}.starts.npz"
        self._stream = (folder / f"{split}.tokens").open("wb")
        self._starts, self._sentences, self._sources = [0], [0], [0]
        self._source = ""

    def add(self, sentences: Iterable[Sequence[int]], *, source: str) -> int:
        """Append a document, given sentence by sentence; return its length."""
        if source != self._source and self._starts[-1]:
            self._sources.append(self._starts[-1])
        self._source = source
        before = self._starts[-1]
        for sentence in filter(None, sentences):
            self._stream.write(np.asarray(sentence, np.int32).tobytes())
            self._sentences.append(self._sentences[-1] + len(sentence))
        if self._sentences[-1] > before:
            self._starts.append(self._sentences[-1])
        return self._sentences[-1] - before

    @property
    def tokens(self) -> int:
        """Tokens so far."""
        return self._starts[-1]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._stream.close()
        sources = [*self._sources, self._starts[-1]]
        np.savez(self._path, documents=self._starts, sentences=self._sentences, sources=sources)


class Stream:
    """The tokens of a split, memory-mapped.

    Attributes:
        tokens: int32 [N].
        documents: where each document begins, and N.
        sentences: where each sentence begins, and N.
        sources: where each source begins, and N.
    """

    def __init__(self, *, folder: Path, split: str) -> None:
        self.tokens: npt.NDArray[np.int32] = np.memmap(folder / f"{split}.tokens", np.int32, "r")
        with np.load(folder / f"{split}.starts.npz", allow_pickle=False) as places:
            self.documents: IntArray = places["documents"].astype(np.int64)
            self.sentences: IntArray = places["sentences"].astype(np.int64)
            self.sources: IntArray = places["sources"].astype(np.int64)

    def __len__(self) -> int:
        return len(self.tokens)

    def document(self, places: IntArray) -> Any:
        """Number of the document at each place."""
        return np.searchsorted(self.documents, places, side="right")
