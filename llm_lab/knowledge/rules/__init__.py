"""Rules over paths of a knowledge graph: learned within a time limit, read, edited and applied."""
