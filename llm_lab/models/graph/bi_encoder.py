"""Link prediction from names: an encoder reads the question and every answer, which meet as vectors (SimKGC)."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from llm_lab.config import build
from llm_lab.data.spec import DataSpec
from llm_lab.errors import ConfigError
from llm_lab.knowledge.ranking import Answers, Queries
from llm_lab.knowledge.triples import read_triples
from llm_lab.models.freeze import Freeze
from llm_lab.models.graph.embedding import sizes_of
from llm_lab.models.graph.entity_texts import Names, Tokens
from llm_lab.models.graph.scorer import WEIGHTS, Contrasting, device_of
from llm_lab.models.graph.text_encoder import TextEncoder

ENCODER = "encoder"  # folder of the encoder in that of the model
STEEP = 10.0  # how much faster than an encoder, at its rate, the matrices of relations change
SHARPEST = 100.0  # one over the lowest temperature


class BiEncoder(Contrasting):
    """SimKGC (Wang et al. 2022, https://aclanthology.org/2022.acl-long.295) with one encoder for both sides.

    A question is an entity's text and a relation, an answer an entity's text; scores are cosines over a learned
    temperature. Each question of a batch is set against all entities of the batch (in-batch negatives), the one
    that it asks about among them (self-negative), and those of the last `pre_batches` batches; what the training
    graph knows for an answer is no negative. Nothing is learned about an entity but through its text, so one that
    training never showed is ranked as well.

    Args:
        spec: of the data; names are read from its folder.
        source: URI or folder of the pretrained encoder; None in a saved model, which brings its own.
        licence: of the encoder's weights.
        names: node of what is read of an entity, see `Names`; None for its name alone.
        relation: ``text`` reads the relation behind the entity, as SimKGC does; ``matrix`` moves the entity's
            vector by a matrix and a step for each relation, so that entities are read once, not once a relation.
        margin: taken from the cosine of the right answer in training.
        temperature: that cosines are divided by at the start.
        pre_batches: earlier batches whose entities are negatives too; forgotten when a run is resumed.
        bonus: added to the scores of neighbours in training, times the share of its relation's pairs that the
            asked relation joins too: SimKGC's re-ranking by the graph, weighed. After training only.
        dropout: of the encoder; None keeps its own.
        freeze: see `llm_lab.models.freeze.freeze_parameters`.
        wrappers: of the model, for the task.
    """

    def __init__(
        self,
        *,
        spec: DataSpec,
        source: str | None,
        licence: str = "",
        names: Mapping[str, Any] | None = None,
        relation: Literal["text", "matrix"] = "text",
        margin: float = 0.02,
        temperature: float = 0.05,
        pre_batches: int = 0,
        bonus: float = 0.0,
        dropout: float | None = None,
        freeze: Freeze = None,
        wrappers: dict[str, Any] | None = None,
    ) -> None:
        del wrappers
        super().__init__()
        if temperature <= 0 or pre_batches < 0:
            raise ConfigError("model: temperature above 0 and pre_batches from 0 are wanted")
        self.spec = spec
        self.names = build(names, expected=Names, key="model.names") if names else Names()
        self.entities, self.relations = sizes_of(spec)
        self.relation, self.margin, self.bonus = relation, margin, bonus
        self.sharpness = nn.Parameter(torch.tensor(-math.log(temperature)))
        self.earlier: deque[tuple[Tensor, Tensor]] = deque(maxlen=pre_batches)
        self._table: Tensor | None = None
        self.register_load_state_dict_post_hook(_forget)  # type: ignore[no-untyped-call]
        if source is not None:
            self._take(TextEncoder(source=source, licence=licence, dropout=dropout, freeze=freeze))

    def _take(self, encoder: TextEncoder) -> None:
        """Begin to read with an encoder."""
        self.encoder, width = encoder, encoder.width
        self.texts = self.names.of(read_triples(self.spec.folder), encoder.tokenizer)
        self.register_buffer("confidences", self.texts.around.confidences(), persistent=False)
        if self.relation == "matrix":
            self.matrices = nn.Parameter(torch.zeros(2 * self.relations, width, width))
            self.steps = nn.Parameter(torch.zeros(2 * self.relations, width))

    @property
    def scale(self) -> Tensor:
        """What cosines are multiplied with."""
        return self.sharpness.exp().clamp(max=SHARPEST)

    def contrast(self, asked: Queries, taught: Answers) -> Tensor:
        """See `Contrasting.contrast`."""
        self._table = None
        count = len(asked.sources) // 2
        rows = list(zip(*(column.tolist() for column in asked), strict=True))
        entities = [(source, self.texts.entity(source, (kind, target))) for source, kind, target in rows]
        distinct = {one: place for place, one in enumerate(dict.fromkeys(entities))}
        numbers = torch.tensor([number for number, _ in distinct], device=asked.sources.device)
        places = torch.tensor([distinct[one] for one in entities], device=numbers.device)
        queries = [self.texts.query(source, kind, (kind, target)) for source, kind, target in rows]
        vectors, questions = self._read([text for _, text in distinct], places, queries, asked.relations)
        own = places.roll(count)  # the source of the inverse question is the answer, without the edge between
        candidates, known = self._candidates(vectors, numbers)
        cosines = questions @ candidates.t()
        shift = torch.zeros_like(cosines).scatter_(1, own[:, None], self.margin)
        logits = (cosines - shift) * self.scale
        logits = logits.masked_fill(_taken(taught, asked, known, own), -torch.inf)
        return F.cross_entropy(logits, own, reduction="none")

    def _read(
        self, texts: Sequence[Tokens], places: Tensor, queries: Sequence[Tokens], relations: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Vectors of the entities and of the questions."""
        if self.relation == "matrix":
            vectors = self.encoder(texts)
            return vectors, self._moved(vectors[places], relations)
        both = self.encoder([*texts, *queries])
        return both[: len(texts)], both[len(texts) :]

    def _moved(self, vectors: Tensor, relations: Tensor) -> Tensor:
        """Vectors [B, H] of entities as questions for relations [B]."""
        kinds = torch.unique(relations).tolist()
        matrices, steps = self.matrices.unbind(), self.steps.unbind()
        groups = [(relations == kind).nonzero()[:, 0] for kind in kinds]
        moved = []
        for kind, rows in zip(kinds, groups, strict=True):
            some = vectors[rows]
            change = some @ matrices[kind] + steps[kind]
            moved.append(F.normalize(some + STEEP * change.to(some.dtype), dim=1))
        places = torch.cat(groups).argsort()
        return torch.cat(moved)[places]

    def _candidates(self, vectors: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors and entities of this batch and, without gradient, of those before."""
        before = list(self.earlier)
        self.earlier.append((vectors.detach(), numbers))
        return (
            torch.cat([vectors, *(one for one, _ in before)]),
            torch.cat([numbers, *(one for _, one in before)]),
        )

    def table(self) -> Tensor:
        """Vectors [E, H] of all entities, kept while the weights stay as they are."""
        if self._table is None:
            with torch.no_grad():
                self._table = self.encoder([self.texts.entity(number) for number in range(self.entities)])
        return self._table

    def train(self, mode: bool = True) -> BiEncoder:  # noqa: FBT001, FBT002 - torch's own signature
        """As torch's; between training and evaluation vectors are forgotten."""
        if mode != self.training:
            self._table = None
        super().train(mode)
        return self

    def answer(self, sources: Tensor, relations: Tensor) -> Tensor:
        """See `Scorer.answer`."""
        table = self.table()
        if self.relation == "matrix":
            questions = self._moved(table[sources], relations)
        else:
            asked = zip(sources.tolist(), relations.tolist(), strict=True)
            questions = self.encoder([self.texts.query(*one) for one in asked])
        scores = questions @ table.t() * self.scale
        if self.bonus:
            rows, kinds, targets = self.texts.around.cells(sources)
            gains = self.bonus * self.get_buffer("confidences")[relations[rows], kinds]
            scores = scores.index_put((rows, targets), gains.to(scores.dtype), accumulate=True)
        return scores

    def described(self, node: Mapping[str, Any]) -> dict[str, Any]:
        """See `Scorer.described`; the encoder lies beside."""
        return {**node, "source": None}

    def write(self, folder: Path) -> None:
        """Write the encoder as a plain folder, and the vectors of all entities beside what else was learned."""
        table = self.eval().table() if self._table is None else self._table
        self.encoder.write(folder / ENCODER)
        own = {name: value for name, value in self.state_dict().items() if not name.startswith("encoder.")}
        tensors = {name: value.detach().cpu().contiguous() for name, value in own.items()}
        save_file({**tensors, "entity": table.cpu()}, folder / WEIGHTS, metadata={"format": "pt"})

    def read(self, folder: Path) -> None:
        """Take over what `write` wrote."""
        self._take(TextEncoder(source=str(folder / ENCODER)))
        tensors = load_file(folder / WEIGHTS)
        table = tensors.pop("entity")
        self.load_state_dict(tensors, strict=False)
        self.eval()
        self._table = table.to(device_of(self))


def _forget(model: BiEncoder, _: Any) -> None:
    """Other weights make other vectors."""
    model._table = None  # noqa: SLF001 - a hook of its own


def _taken(taught: Answers, asked: Queries, candidates: Tensor, own: Tensor) -> Tensor:
    """Whether a candidate [U] is a known answer of a question [B] but not the row that is to be found, bool [B, U]."""
    rows, columns = taught.cells(asked.sources, asked.relations)
    distinct, places = candidates.unique(return_inverse=True)  # type: ignore[no-untyped-call]
    found = torch.searchsorted(distinct, columns).clamp(max=len(distinct) - 1)
    here = distinct[found] == columns
    known = torch.zeros(len(asked.sources), len(distinct), dtype=torch.bool, device=candidates.device)
    known[rows[here], found[here]] = True
    return known[:, places].scatter_(1, own[:, None], value=False)
