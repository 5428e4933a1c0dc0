"""Rendered people: bodies, clothes, scenes, images with 2D, 3D and true occlusion flags."""
