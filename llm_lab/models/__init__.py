"""Backbones with their heads; importing this also teaches transformers the class `llm_lab_pooled`."""

from llm_lab.models import pooled as pooled  # registers with transformers' Auto classes
