"""The job of the `text` benchmark, the same for all contestants.

Model and weights, tokens, 32 rows a batch, one epoch, AdamW with one rate, decay and linear schedule, clipping
at 1.0, dropout, bf16 autocast over fp32 weights where the processor has bf16.
"""

from __future__ import annotations

RATE, DECAY, WARMUP, BATCH, CLIP = 1e-4, 0.01, 0.1, 32, 1.0
WORDS = (
    "+experiment=sst2",
    f"optimizer.lr={RATE}",
    f"optimizer.weight_decay={DECAY}",
    f"scheduler.warmup={WARMUP}",
    f"data.batch_size={BATCH}",
    f"trainer.gradient_clip_val={CLIP}",
    "trainer.max_epochs=1",
    # nobody else validates, writes checkpoints or draws a progress bar
    "trainer.limit_val_batches=0",
    "trainer.enable_progress_bar=false",
    "callbacks.best=null",
    "callbacks.resume=null",
    "callbacks.early_stopping=null",
    "logger=none",
)
