"""Optimizers that know a model's layers, and learning rate schedules."""
