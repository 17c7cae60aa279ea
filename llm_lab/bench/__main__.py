"""``python -m llm_lab.bench [NAME] [options]``: one table of the benchmarks."""

from __future__ import annotations

import sys
from importlib import import_module

BENCHES = {
    "text": "fine-tuning a text encoder: ours, a bare loop, transformers' Trainer",
    "shakespeare": "characters of Shakespeare to 1.88 nats: our recipe, nanoGPT's",
    "language": "tokens per second of causal pretraining: ours, transformers' Trainer",
    "pretrained": "SST-2 from our own pretrained encoder against the same encoder from random weights",
    "overhead": "what a step costs beside the arithmetic: ours, a bare loop, each callback",
    "startup": "list, --help and check against a bare Hydra application",
    "asha": "early stopping of sweeps, replayed on recorded learning curves",
    "sharding": "memory per rank and time of a step: DDP, ZeRO 1 to 3, FSDP2, beside the formula",
    "scaling": "two processes against one, the same work",
    "sweep": "eight jobs in one process against the start-up of the first and the steps of all",
    "graph": "the graph store: a million triples into it, and out as arrays",
    "linking": "entities and relations found in PathQuestion: precision and recall",
    "links": "ComplEx on a knowledge graph: an epoch, filtered evaluation and MRR, beside PyKEEN",
    "multimodal": "pictures and words: contrastive training beside a bare loop, batches alone, frozen towers",
    "memory": "memory against the size of the table",
}


def main(words: list[str]) -> int:
    """Run the benchmark that the first word names, `text` without one."""
    name = words[0] if words and not words[0].startswith("-") else "text"
    if name not in BENCHES:
        print(f"no benchmark {name}; there are:", file=sys.stderr)
        for known, summary in BENCHES.items():
            print(f"  {known:12} {summary}", file=sys.stderr)
        return 2
    rest = words[1:] if words and words[0] == name else words
    import_module(f"llm_lab.bench.{name}").main(*([rest] if rest else []))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
