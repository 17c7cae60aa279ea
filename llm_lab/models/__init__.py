"""Backbones with their heads; importing this also teaches transformers our own classes."""

from llm_lab.models import pooled as pooled  # registers with transformers' Auto classes
from llm_lab.models.audio import whole as whole  # the same
from llm_lab.models.fusion import captioner as captioner  # the same
from llm_lab.models.fusion import saved as saved  # the same
from llm_lab.models.fusion import transcribing as transcribing  # the same
