"""Hydra finds our configs, and the user's, through this package; it is imported at each start, so it is light."""
