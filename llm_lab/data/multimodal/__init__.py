"""Rows of several modalities: texts, pictures, sounds, numbers and categories, from a table to batches."""
