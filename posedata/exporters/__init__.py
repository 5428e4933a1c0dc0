"""Pose stores as the files that other programs read."""
