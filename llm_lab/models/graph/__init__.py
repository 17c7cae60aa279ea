"""Models that score the triples of a knowledge graph."""
