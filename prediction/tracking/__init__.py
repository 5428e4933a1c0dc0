"""People followed through the frames of a video."""
