"""Bone lengths of a mean adult: means of motion-captured people (CMU 01, 02 and 03, H36M17 joints)."""

from __future__ import annotations

MEAN_LENGTHS: dict[str, float] = {
    "hip": 87.0,
    "knee": 412.0,
    "ankle": 422.0,
    "spine": 217.0,
    "thorax": 285.0,
    "nose": 129.0,
    "head": 155.0,
    "shoulder": 190.0,
    "elbow": 291.0,
    "wrist": 286.0,
}
"""Mean length in mm of the bone that ends at each joint."""
