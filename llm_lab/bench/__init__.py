"""Benchmarks: figures that are measured side by side, never promised."""
