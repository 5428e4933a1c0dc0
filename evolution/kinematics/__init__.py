"""Poses as bones in local frames, and the geometry of directions."""
