"""How one experiment spreads over processes and devices."""
