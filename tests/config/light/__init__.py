"""Tests of words, composition and the light check, over a small tree of configs."""
