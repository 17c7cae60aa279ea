"""Let the C library keep the memory that a step frees, because the next step asks for the same again."""

from __future__ import annotations

import ctypes
import functools
import logging
import os
import platform

log = logging.getLogger(__name__)

# Parameters and limits of mallopt(3).
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
KEPT_BYTES, LARGEST_KEPT_BLOCK = 1 << 30, 32 << 20
VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD")


@functools.cache
def keep_freed_memory() -> bool:
    """Stop glibc from giving blocks under 32 MB back to the system at every step; once per process.

    By default activations are unmapped when they are freed and faulted in again page by page: 8,000 to 36,000
    faults a step of fine-tuning, up to a fifth of its time on a virtual machine. The peak of memory stays as
    it is. Settings of the user's own (in the environment) and other C libraries are left alone.

    Returns:
        Whether the setting was made.
    """
    if platform.libc_ver()[0] != "glibc" or any(name in os.environ for name in VARIABLES):
        return False
    mallopt = ctypes.CDLL(None).mallopt
    done = bool(mallopt(MMAP_THRESHOLD, LARGEST_KEPT_BLOCK)) and bool(mallopt(TRIM_THRESHOLD, KEPT_BYTES))
    log.debug("glibc keeps freed memory: %s", done)
    return done
