"""Reasoning over facts with rules, forwards and backwards; every answer can be proved."""
