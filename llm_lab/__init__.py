"""llm_lab: declarative experiments for language models, composed from YAML."""

__version__ = "0.1.0"
