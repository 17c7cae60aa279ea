"""Graphs from tables and texts: mentions, entity linking, relations, canonical names."""
