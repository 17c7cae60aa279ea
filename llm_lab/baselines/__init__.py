"""The simple thing that every result stands beside."""
