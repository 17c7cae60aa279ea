"""Data modules: sources, columns, splits, tokens, batches."""
