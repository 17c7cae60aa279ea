"""The job of `llm_lab.bench.links` by PyKEEN, whose interpreter need not have us: ``python links_pykeen.py JSON``."""

from __future__ import annotations

import json
import sys
import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any


def main(job: dict[str, Any]) -> None:
    """Train, evaluate on the test split, write the figures."""
    from functools import partial

    import torch
    from pykeen.evaluation import RankBasedEvaluator
    from pykeen.models import ComplEx
    from pykeen.training import LCWATrainingLoop, SLCWATrainingLoop
    from pykeen.triples import TriplesFactory

    torch.set_num_threads(job["threads"])
    torch.manual_seed(0)
    files = job["triples"]
    train = TriplesFactory.from_path(files["train"], create_inverse_triples=job["inverse"])
    rest = {
        split: TriplesFactory.from_path(
            files[split], entity_to_id=train.entity_to_id, relation_to_id=train.relation_to_id
        )
        for split in ("val", "test")
    }
    loss = "crossentropy" if job["loop"] == "lcwa" else "bcewithlogits"
    init = partial(torch.nn.init.normal_, std=job["init"])
    model = ComplEx(
        triples_factory=train,
        embedding_dim=job["dim"],
        loss=loss,
        random_seed=0,
        entity_initializer=init,
        relation_initializer=init,
        regularizer=None,
    )
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1)
    kind = LCWATrainingLoop if job["loop"] == "lcwa" else SLCWATrainingLoop
    loop = kind(model=model, triples_factory=train, optimizer=optimizer)
    marks = [time.perf_counter()]
    for epoch in range(job["epochs"]):
        loop.train(
            triples_factory=train,
            num_epochs=epoch + 1,
            continue_training=epoch > 0,
            batch_size=job["batch"],
            use_tqdm=False,
            use_tqdm_batch=False,
        )
        marks.append(time.perf_counter())
    seconds = [after - before for before, after in pairwise(marks)]
    start = time.perf_counter()
    found = RankBasedEvaluator(filtered=True).evaluate(
        model=model,
        mapped_triples=rest["test"].mapped_triples,
        additional_filter_triples=[train.mapped_triples, rest["val"].mapped_triples],
        use_tqdm=False,
    )
    figures = {
        "epoch": median(seconds[int(len(seconds) > 1) :]),
        "evaluation": time.perf_counter() - start,
        "mrr": float(found.get_metric("both.realistic.inverse_harmonic_mean_rank")),
    }
    Path(job["figures"]).write_text(json.dumps(figures), encoding="utf-8")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
