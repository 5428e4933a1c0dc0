"""Rendered people: bodies, clothes, scenes, pictures with 2D, 3D and true occlusion flags."""
