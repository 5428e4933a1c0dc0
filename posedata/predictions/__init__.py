"""Predicted poses and their files; smoothing and tracking over frames."""
