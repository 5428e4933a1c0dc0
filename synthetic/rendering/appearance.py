"""The colours and the cloth on the surface of a rendered person, painted from their looks.

Cloth is a share of each part that stands some millimetres off the skin.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from evolift.synthetic.rendering.looks import Colour, Colours, Look
from evolift.synthetic.rendering.surface_grid import Part, normals_of

Normals = Float[np.ndarray, "rings sides 3"]
Along = Float[np.ndarray, "rings 1"]
Around = Float[np.ndarray, "1 sides"]
Thickness = Float[np.ndarray, "rings sides"]


def dressed(parts: dict[str, Part], look: Look) -> dict[str, tuple[Part, Normals, Colours]]:
    """The parts with cloth on, the normals of the body below, and the colours."""
    generator = np.random.default_rng(look.fabric_seed)
    result = {}
    for name, part in parts.items():
        along, around = part.along[:, None], part.around[None]
        colours, thickness = _painted(name.split("_")[-1], along, around, look)
        normals = normals_of(part)
        dressed_part = replace(part, points=part.points + thickness[..., None] * normals)
        wear = 1 + 0.05 * generator.standard_normal(colours.shape[:2])
        wear[:, -1] = wear[:, 0]
        result[name] = (dressed_part, normals, np.clip(colours * wear[..., None], 0, 1))
    return result


def _painted(kind: str, along: Along, around: Around, look: Look) -> tuple[Colours, Thickness]:
    """Colours and thickness of the cloth of one part."""
    flat = np.zeros(np.broadcast_shapes(along.shape, around.shape))
    skin = flat[..., None] + look.skin
    if kind == "trunk":
        return _trunk(along, around, look, skin)
    if kind == "shoulder":
        covered = (along < (1.1 if look.sleeve_end > 0 else 0.55)) & (along > 0.12) & (flat == 0)
        return _over(skin, covered, look.shirt.paint(along + 1.7, around)), 0.6 * look.build.sleeve * covered
    if kind in ("arm", "leg"):
        return _limb(kind, along, around, look, skin)
    if kind == "skirt":
        return look.trousers.paint(along, around), flat
    if kind == "foot":
        shoes = flat[..., None] + look.shoes
        return (
            shoes if look.soles is None else _over(shoes, np.sin(around) + 0 * along > 0.75, look.soles)
        ), flat
    if kind in ("hand", "thumb"):
        return flat[..., None] + (look.gloves or look.skin), flat
    if kind == "hair":
        return flat[..., None] + (look.hair if look.hairline else look.skin), flat
    return _face(along, around, look, skin), flat


def _over(below: Colours, where: Bool[np.ndarray, "rings sides"], colour: Colours | Colour) -> Colours:
    painted: np.ndarray = np.where(where[..., None], colour, below)
    return painted


def _trunk(along: Along, around: Around, look: Look, skin: Colours) -> tuple[Colours, Thickness]:
    shirt = (along > look.hem) & (along < look.neckline - 0.08 * np.maximum(np.sin(around), 0))
    trousers = (along <= look.hem) & np.ones_like(shirt)
    colours = _over(skin, shirt, look.shirt.paint(along, around))
    colours = _over(colours, trousers, look.trousers.paint(along, around))
    if look.print_ is not None:
        printed = (np.abs(along - 1.45) < 0.25) & (np.abs(np.sin(around)) > 0.75)
        colours = _over(colours, printed, look.print_)
    if look.belt is not None:
        colours = _over(colours, (np.abs(along - look.hem) < 0.06) & trousers, look.belt)
    # A loose shirt hangs off the body towards its hem.
    loose = look.flare * np.exp(-(((along - look.hem) / 0.5) ** 2))
    return colours, (look.build.sleeve + loose) * shirt + 0.5 * look.build.trouser * trousers


def _limb(kind: str, along: Along, around: Around, look: Look, skin: Colours) -> tuple[Colours, Thickness]:
    if kind == "arm":
        cloth, end, thickness = look.shirt, look.sleeve_end, look.build.sleeve
    else:
        cloth, end, thickness = look.trousers, look.trouser_end, look.build.trouser
        skin = _over(skin, (along > 1.72) & (around < 99), look.socks)
    covered = (along < end) & (around < 99)
    colours = _over(skin, covered, cloth.paint(along, around))
    if look.side_stripe is not None:
        colours = _over(colours, covered & (np.abs(np.cos(around)) > 0.93), look.side_stripe)
    loose = look.flare * np.exp(-(((along - end) / 0.6) ** 2))
    return colours, (thickness + loose) * covered


def _face(along: Along, around: Around, look: Look, skin: Colours) -> Colours:
    from_nose = np.abs(around - np.pi / 2)
    ahead = np.sin(around)
    colours = skin * (1 - 0.06 * (ahead < -0.2))[..., None]
    if look.beard is not None:
        colours = _over(colours, (along < 0.36) & (ahead > 0.1), look.beard)
    mouth = (np.abs(along - 0.24) < 0.035) & (from_nose < 0.33)
    eyes = (np.abs(along - 0.55) < 0.045) & (np.abs(from_nose - 0.42) < 0.15)
    brows = (np.abs(along - 0.67) < 0.045) & (np.abs(from_nose - 0.42) < 0.25)
    hairline = np.interp(ahead, [-1, -0.3, 0.25, 0.6, 1], [0.25, 0.3, 0.62, 0.84, 0.87])
    colours = _over(colours, mouth, skin * (0.85, 0.55, 0.55))
    colours = _over(colours, brows, 0.5 * skin + 0.5 * np.array(look.hair))
    colours = _over(colours, eyes, (0.1, 0.08, 0.08))
    if look.hairline > 0:
        colours = _over(colours, along > hairline, look.hair)
    return colours if look.hat is None else _over(colours, (along > 0.72) & (around < 99), look.hat)
