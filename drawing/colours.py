"""The colours that every image, chart and page of this package uses for the two sides of a body.

They are from the palette of Okabe and Ito (2008), which people with each kind of colour blindness tell apart,
and each stands out from white and from near-black paper by a contrast of at least 3 to 1 (WCAG 2.2, 1.4.11).
"""

from __future__ import annotations

from evolift.posedata.skeleton import Skeleton

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255 (sRGB)."""

RIGHT_COLOUR: Colour = (213, 94, 0)
"""The person's own right side: vermilion."""
LEFT_COLOUR: Colour = (0, 114, 178)
"""The person's own left side: blue."""
TORSO_COLOUR: Colour = (0, 158, 115)
"""Joints that belong to no side: bluish green."""
HALO_COLOUR: Colour = (255, 255, 255)
"""Rim around lines and joints, so that they stand out on dark images."""
PAPER_COLOUR: Colour = (255, 255, 255)
"""Background of sheets and charts."""
INK_COLOUR: Colour = (32, 32, 32)
"""Colour of text and of lines that belong to no side of the body."""

SERIES_COLOURS: tuple[Colour, ...] = (
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (138, 109, 0),
    (86, 96, 112),
)
"""Curves and bars, in this order; bars and curves are also told apart by their labels."""


def joint_colours(skeleton: Skeleton) -> tuple[Colour, ...]:
    """Colour of each joint by its side; a bone has the colour of its child joint."""
    return tuple(_side_colour(joint) for joint in skeleton.joints)


def hexadecimal(colour: Colour) -> str:
    """A colour as HTML and matplotlib write it, for example "#d55e00"."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _side_colour(joint: str) -> Colour:
    if joint.startswith("right_"):
        return RIGHT_COLOUR
    if joint.startswith("left_"):
        return LEFT_COLOUR
    return TORSO_COLOUR
