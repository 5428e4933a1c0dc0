"""Criteria of plausibility beyond joint-angle limits."""
