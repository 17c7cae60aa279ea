"""The text of a sound by CTC: a symbol or none at each moment."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from llm_lab.data.multimodal.transcripts import IGNORED
from llm_lab.errors import DataError
from llm_lab.models.fusion.transcribing import IMPOSSIBLE
from llm_lab.models.heads import Head
from llm_lab.tasks.task import Batch
from llm_lab.tasks.transcription import Transcription

PRIVATE = 0xF0000  # first of 65,534 code points that no text uses
RARE = 1e-3  # probability below which a symbol is not followed


class SpeechRecognition(Transcription):
    """Connectionist temporal classification (Graves et al. 2006, https://doi.org/10.1145/1143844.1143891).

    The loss of a text is that of all ways to lay its symbols along the moments, spread evenly over its tokens. In
    training a text for which speed perturbation left no room does not count.
    """

    head = Head.CTC

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Nats per target [N], from logits [B, T, V].

        Raises:
            DataError: in evaluation, a text that has more symbols than the tower hears moments.
        """
        labels = batch["labels"][: len(outputs)]
        if not len(labels):
            return outputs.new_zeros(0)
        counts = (labels != IGNORED).sum(dim=1)
        logs = outputs.log_softmax(dim=-1).transpose(0, 1)
        moments = torch.full_like(counts, len(logs))
        symbols = labels.clamp(min=0)
        rows = F.ctc_loss(
            logs, symbols, moments, counts - 1, blank=self.none, reduction="none", zero_infinity=True
        )
        doubled = ((labels[:, 1:] == labels[:, :-1]) & (labels[:, 1:] != IGNORED)).sum(dim=1)
        possible = (counts - 1 + doubled <= len(logs)) & (rows < IMPOSSIBLE)
        if not self.training and not bool(possible.all()):
            self._refuse(int((~possible).nonzero()[0]), batch)
        each = torch.where(possible, rows, 0.0) / counts
        return each.repeat_interleave(counts)

    def _refuse(self, row: int, batch: Batch) -> None:
        symbols = int((batch["labels"][row] != IGNORED).sum()) - 1
        raise DataError(
            f"row {int(batch['index'][row])}: {symbols} symbols are more than the model hears moments; set "
            "data.frames_per_character to the frames that one of its tokens stands for, and such rows are rejected"
        )

    def texts(self, outputs: Tensor, batch: Batch) -> list[str]:
        """See `Transcription`."""
        return written(outputs, self.tokenizer, none=self.none, beams=self.beams)


def written(logits: Tensor, tokenizer: Any, *, none: int, beams: int) -> list[str]:
    """Texts of logits [B, T, V], greedily or by beam search; ``none`` is the number of no symbol."""
    found = greedy(logits, none) if beams == 1 else searched(logits, none, beams)
    texts = (tokenizer.decode(symbols, skip_special_tokens=True) for symbols in found)
    return [" ".join(text.split()) for text in texts]


def greedy(logits: Tensor, none: int) -> list[list[int]]:
    """Symbols of each row: the likeliest of each moment, repeated ones once."""
    paths = (row.unique_consecutive() for row in logits.argmax(dim=-1))
    return [path[path != none].tolist() for path in paths]


def searched(logits: Tensor, none: int, beams: int) -> list[list[int]]:
    """Symbols of each row: the likeliest over all ways to lay them along the moments, by prefix beam search."""
    from fast_ctc_decode import beam_search

    size = logits.shape[-1]
    order = [none, *(symbol for symbol in range(size) if symbol != none)]
    letters = [chr(PRIVATE + symbol) for symbol in order]  # the library joins symbols to a text
    rows = logits.softmax(dim=-1)[..., order].cpu().numpy()
    cut = min(RARE, 0.5 / size)
    found = (beam_search(row, letters, beam_size=beams, beam_cut_threshold=cut)[0] for row in rows)
    return [[ord(letter) - PRIVATE for letter in text] for text in found]
