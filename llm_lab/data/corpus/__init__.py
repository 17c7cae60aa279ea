"""Documents for pretraining: read, cleaned of duplicates, and laid end to end as tokens."""
