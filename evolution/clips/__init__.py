"""Evolution of motion: individuals are clips, windows of so many frames of one person."""
