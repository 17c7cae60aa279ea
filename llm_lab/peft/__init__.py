"""Tuning little: wrappers that train a small part of a model, chosen by ``peft=``."""
