"""Rules as a model of link prediction: learned by counting, applied by walking, kept as text."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from torch import Tensor

from llm_lab import assets
from llm_lab.data.readers import as_uri
from llm_lab.data.spec import DataSpec
from llm_lab.errors import ConfigError
from llm_lab.knowledge.rules.engine import Aggregation, Engine
from llm_lab.knowledge.rules.learner import Stopped, learn_rules
from llm_lab.knowledge.rules.mining import Bounds
from llm_lab.knowledge.rules.ruleset import RuleSet, empty_rules
from llm_lab.knowledge.rules.text import read_rules, revised, write_rules
from llm_lab.knowledge.rules.walks import Walks, walks_of
from llm_lab.knowledge.triples import Ids, Triples, read_triples
from llm_lab.models.graph.scorer import WEIGHTS, Scorer

log = logging.getLogger(__name__)
RULES = "rules.tsv"


class Rules(Scorer):
    """Ranks candidates by the confidences of the rules that propose them; has no trainable parameters.

    Args:
        spec: of the data; its folder holds the triples.
        cyclic: longest path of rules h(X,Y) <- path; 0 for none.
        acyclic: longest path of rules with a constant, h(X,c) <- path; 0 for none.
        seconds: after which learning stops.
        support: least pairs for which a rule is right.
        confidence: least share of right pairs of a rule.
        smoothing: pairs added to those of a body, so that few observations count less.
        aggregation: see `Engine`.
        kept: see `Engine`.
        rules: URI of a file of rules that are added, set otherwise or forbidden (see `llm_lab.knowledge.rules.text`).
        seed: of the order of the search.
        wrappers: of the model, for the task.
    """

    def __init__(
        self,
        *,
        spec: DataSpec,
        cyclic: int = 3,
        acyclic: int = 1,
        seconds: float = 600.0,
        support: int = 2,
        confidence: float = 0.01,
        smoothing: float = 5.0,
        aggregation: Aggregation = "max",
        kept: int = 20,
        rules: str | None = None,
        seed: int = 0,
        wrappers: dict[str, Any] | None = None,
    ) -> None:
        del wrappers
        super().__init__()
        for name, value, least in (("cyclic", cyclic, 0), ("acyclic", acyclic, 0), ("support", support, 1)):
            if value < least:
                raise ConfigError(f"model.{name}: at least {least} is wanted, found {value}")
        if not 0 < confidence < 1 or smoothing < 0 or kept < 1 or seconds <= 0:
            raise ConfigError(
                "model: confidence lies between 0 and 1, smoothing from 0, kept from 1, seconds above 0"
            )
        self.entities, self.relations = (int(spec.summary[name]) for name in ("entities", "relations"))
        self.bounds = Bounds(support=support, confidence=confidence, smoothing=smoothing)
        self.cyclic, self.acyclic, self.seconds = cyclic, acyclic, seconds
        self.aggregation, self.kept, self.seed = aggregation, kept, seed
        self.own = rules
        self.learned = empty_rules()
        self.engine: Engine | None = None
        self.triples = Triples(entities=(), relations=(), splits={})

    def learn(self, triples: Triples) -> None:
        """Find rules in the training triples, then do as a person's own file says.

        Raises:
            InterruptedLearning: Ctrl-C; the rules so far are learned.
        """
        started = monotonic()
        walks = self._walks(triples)
        stopped: Stopped | None = None
        own = self._own(triples)  # first: a slip in a file is not told after minutes of search
        try:
            learned = self._found(walks, np.asarray(triples.splits["train"]))
        except Stopped as stop:
            learned, stopped = stop.rules, stop
        if own is not None:
            learned = revised(learned, *own)
        log.info("%d rules in %.1f s", len(learned), monotonic() - started)
        self._take(learned, walks, triples)
        if stopped:
            raise stopped

    def _own(self, triples: Triples) -> tuple[RuleSet, RuleSet] | None:
        """Rules of the person's own file, and those that it forbids."""
        return None if self.own is None else read_rules(assets.resolve(as_uri(self.own)), triples)

    def _found(self, walks: Walks, train: Ids) -> RuleSet:
        return learn_rules(
            walks,
            train,
            cyclic=self.cyclic,
            acyclic=self.acyclic,
            bounds=self.bounds,
            seconds=self.seconds,
            seed=self.seed,
        )

    def _walks(self, triples: Triples) -> Walks:
        train = np.asarray(triples.splits["train"])
        return walks_of(train, entities=len(triples.entities), relations=len(triples.relations))

    def _take(self, rules: RuleSet, walks: Walks, triples: Triples) -> None:
        self.learned, self.triples = rules, triples
        self.engine = Engine(walks, rules, aggregation=self.aggregation, kept=self.kept)

    def answer(self, sources: Tensor, relations: Tensor) -> Tensor:
        """Scores [B, E] of queries of both directions: confidences, see `Engine`; 0 where no rule speaks."""
        if self.engine is None:
            raise ConfigError("model: these rules were never learned")
        ids = (values.numpy(force=True).astype(np.int32) for values in (sources, relations))
        return torch.from_numpy(self.engine.scores(*ids)).to(sources.device)

    def likelihoods(self, sources: Tensor, relations: Tensor) -> Tensor:
        """Scores [B, E] as confidences between 0 and 1."""
        scores = self.answer(sources, relations)
        return -torch.expm1(-scores) if self.aggregation == "noisy_or" else scores

    def write(self, folder: Path) -> None:
        """Write ``rules.tsv``, which is what counts, and its arrays, which load faster while it is not edited."""
        write_rules(folder / RULES, self.learned, self.triples)
        arrays = {name: np.ascontiguousarray(values) for name, values in vars(self.learned).items()}
        save_file(arrays, folder / WEIGHTS, metadata={"rules": _digest(folder / RULES)})

    def read(self, folder: Path) -> None:
        """Take over the rules of a folder, as they stand in its text."""
        triples = read_triples(folder)
        with safe_open(folder / WEIGHTS, framework="numpy") as stored:
            fresh = stored.metadata().get("rules") == _digest(folder / RULES)
            rules = RuleSet(**{name: stored.get_tensor(name) for name in stored.keys()}) if fresh else None  # noqa: SIM118
        if rules is None:
            rules = revised(empty_rules(), *read_rules(folder / RULES, triples))
        self._take(rules, self._walks(triples), triples)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
