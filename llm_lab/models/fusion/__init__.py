"""Models whose parts are models: an encoder for each modality, and what brings their tokens together."""
