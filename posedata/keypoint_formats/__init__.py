"""Readers of 2D keypoints from other detectors."""
