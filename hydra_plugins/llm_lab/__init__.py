"""Hydra finds our configs, and the user's, through this package; imported at each start, it is light."""
