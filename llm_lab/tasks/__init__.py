"""Objectives as Lightning modules: one per kind of target, never one per data set."""
