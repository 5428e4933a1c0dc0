"""The colours and the cloth on the surface of a rendered person, painted from their appearance.

Cloth is a share of each part that stands some millimetres off the skin.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from evolift.synthetic.rendering.person_appearance import Appearance, Colour, Colours
from evolift.synthetic.rendering.surface_grid import Part, normals_of

Normals = Float[np.ndarray, "rings sides 3"]
Along = Float[np.ndarray, "rings 1"]
Around = Float[np.ndarray, "1 sides"]
Thickness = Float[np.ndarray, "rings sides"]


def dressed(parts: dict[str, Part], appearance: Appearance) -> dict[str, tuple[Part, Normals, Colours]]:
    """The parts with cloth on, the normals of the body below, and the colours."""
    generator = np.random.default_rng(appearance.fabric_seed)
    result = {}
    for name, part in parts.items():
        along, around = part.along[:, None], part.around[None]
        colours, thickness = _painted(name.split("_")[-1], along, around, appearance)
        normals = normals_of(part)
        dressed_part = replace(part, points=part.points + thickness[..., None] * normals)
        wear = 1 + 0.05 * generator.standard_normal(colours.shape[:2])
        wear[:, -1] = wear[:, 0]
        result[name] = (dressed_part, normals, np.clip(colours * wear[..., None], 0, 1))
    return result


def _painted(kind: str, along: Along, around: Around, appearance: Appearance) -> tuple[Colours, Thickness]:
    """Colours and thickness of the cloth of one part."""
    flat = np.zeros(np.broadcast_shapes(along.shape, around.shape))
    skin = flat[..., None] + appearance.skin
    if kind == "trunk":
        return _trunk(along, around, appearance, skin)
    if kind == "shoulder":
        covered = (along < (1.1 if appearance.sleeve_end > 0 else 0.55)) & (along > 0.12) & (flat == 0)
        return _over(
            skin, covered, appearance.shirt.paint(along + 1.7, around)
        ), 0.6 * appearance.build.sleeve * covered
    if kind in ("arm", "leg"):
        return _limb(kind, along, around, appearance, skin)
    if kind == "skirt":
        return appearance.trousers.paint(along, around), flat
    if kind == "foot":
        shoes = flat[..., None] + appearance.shoes
        return (
            shoes
            if appearance.soles is None
            else _over(shoes, np.sin(around) + 0 * along > 0.75, appearance.soles)
        ), flat
    if kind in ("hand", "thumb"):
        return flat[..., None] + (appearance.gloves or appearance.skin), flat
    if kind == "hair":
        return flat[..., None] + (appearance.hair if appearance.hairline else appearance.skin), flat
    return _face(along, around, appearance, skin), flat


def _over(below: Colours, where: Bool[np.ndarray, "rings sides"], colour: Colours | Colour) -> Colours:
    painted: np.ndarray = np.where(where[..., None], colour, below)
    return painted


def _trunk(along: Along, around: Around, appearance: Appearance, skin: Colours) -> tuple[Colours, Thickness]:
    shirt = (along > appearance.hem) & (along < appearance.neckline - 0.08 * np.maximum(np.sin(around), 0))
    trousers = (along <= appearance.hem) & np.ones_like(shirt)
    colours = _over(skin, shirt, appearance.shirt.paint(along, around))
    colours = _over(colours, trousers, appearance.trousers.paint(along, around))
    if appearance.print_ is not None:
        printed = (np.abs(along - 1.45) < 0.25) & (np.abs(np.sin(around)) > 0.75)
        colours = _over(colours, printed, appearance.print_)
    if appearance.belt is not None:
        colours = _over(colours, (np.abs(along - appearance.hem) < 0.06) & trousers, appearance.belt)
    # A loose shirt hangs off the body towards its hem.
    loose = appearance.flare * np.exp(-(((along - appearance.hem) / 0.5) ** 2))
    return colours, (appearance.build.sleeve + loose) * shirt + 0.5 * appearance.build.trouser * trousers


def _limb(
    kind: str, along: Along, around: Around, appearance: Appearance, skin: Colours
) -> tuple[Colours, Thickness]:
    if kind == "arm":
        cloth, end, thickness = appearance.shirt, appearance.sleeve_end, appearance.build.sleeve
    else:
        cloth, end, thickness = appearance.trousers, appearance.trouser_end, appearance.build.trouser
        skin = _over(skin, (along > 1.72) & (around < 99), appearance.socks)
    covered = (along < end) & (around < 99)
    colours = _over(skin, covered, cloth.paint(along, around))
    if appearance.side_stripe is not None:
        colours = _over(colours, covered & (np.abs(np.cos(around)) > 0.93), appearance.side_stripe)
    loose = appearance.flare * np.exp(-(((along - end) / 0.6) ** 2))
    return colours, (thickness + loose) * covered


def _face(along: Along, around: Around, appearance: Appearance, skin: Colours) -> Colours:
    from_nose = np.abs(around - np.pi / 2)
    ahead = np.sin(around)
    colours = skin * (1 - 0.06 * (ahead < -0.2))[..., None]
    if appearance.beard is not None:
        colours = _over(colours, (along < 0.36) & (ahead > 0.1), appearance.beard)
    mouth = (np.abs(along - 0.24) < 0.035) & (from_nose < 0.33)
    eyes = (np.abs(along - 0.55) < 0.045) & (np.abs(from_nose - 0.42) < 0.15)
    brows = (np.abs(along - 0.67) < 0.045) & (np.abs(from_nose - 0.42) < 0.25)
    hairline = np.interp(ahead, [-1, -0.3, 0.25, 0.6, 1], [0.25, 0.3, 0.62, 0.84, 0.87])
    colours = _over(colours, mouth, skin * (0.85, 0.55, 0.55))
    colours = _over(colours, brows, 0.5 * skin + 0.5 * np.array(appearance.hair))
    colours = _over(colours, eyes, (0.1, 0.08, 0.08))
    if appearance.hairline > 0:
        colours = _over(colours, along > hairline, appearance.hair)
    return (
        colours if appearance.hat is None else _over(colours, (along > 0.72) & (around < 99), appearance.hat)
    )
