"""How a rendered person looks: build, skin, hair and clothes, drawn at random, and the colours of the surface.

Colours are linear RGB from 0 to 1. Cloth is a share of each part that stands some millimetres off the skin.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from posedata.body_surface import Build, Part, normals_of

Colour = tuple[float, float, float]
Colours = Float[np.ndarray, "rings sides 3"]
Normals = Float[np.ndarray, "rings sides 3"]

SKIN_TONES: tuple[Colour, ...] = (
    (0.95, 0.78, 0.68),
    (0.90, 0.70, 0.58),
    (0.82, 0.62, 0.48),
    (0.72, 0.52, 0.38),
    (0.56, 0.38, 0.27),
    (0.40, 0.27, 0.19),
    (0.29, 0.19, 0.14),
)
HAIR_COLOURS: tuple[Colour, ...] = (
    (0.08, 0.06, 0.05),
    (0.16, 0.10, 0.07),
    (0.30, 0.18, 0.10),
    (0.50, 0.33, 0.17),
    (0.75, 0.60, 0.35),
    (0.60, 0.58, 0.56),
    (0.45, 0.16, 0.08),
)


@dataclass(frozen=True)
class Cloth:
    """One garment's colours.

    Args:
        colour, second: of the pattern.
        pattern: "plain", "stripes", "hoops", "halves" or "dots".
        period: of the pattern along the part.
    """

    colour: Colour
    second: Colour
    pattern: str = "plain"
    period: float = 0.2

    def paint(self, along: Float[np.ndarray, "rings 1"], around: Float[np.ndarray, "1 sides"]) -> Colours:
        """The cloth's colour over a part's grid."""
        shape = np.broadcast_shapes(along.shape, around.shape)
        if self.pattern == "hoops":
            chosen = np.mod(along, 2 * self.period) < self.period + 0 * around
        elif self.pattern == "stripes":
            chosen = np.mod(around * 6 / np.pi + 0 * along, 2) < 1
        elif self.pattern == "halves":
            chosen = (np.cos(around) > 0) & (along > -9)
        elif self.pattern == "dots":
            chosen = np.sin(2 * np.pi * along / self.period) * np.sin(5 * around) > 0.35
        else:
            chosen = np.ones(shape, bool)
        painted: np.ndarray = np.where(np.broadcast_to(chosen, shape)[..., None], self.colour, self.second)
        return painted


@dataclass(frozen=True)
class Look:
    """One person's looks.

    Args:
        build: thickness of the body's parts.
        skin, hair, shoes, socks: colours.
        shirt, trousers: garments.
        sleeve_end: place on the arm where the sleeve ends: below 0 sleeveless, 1 elbow, 2 wrist.
        trouser_end: place on the leg where the trousers end: 1 knee, 2 ankle.
        hem: place on the trunk where the shirt ends and the trousers begin.
        neckline: place on the trunk where the shirt ends.
        hairline: 0 bald, 1 full hair.
        gloves: colour of the hands if they are not bare.
        fabric_seed: of the unevenness of all colours.
    """

    build: Build
    skin: Colour
    hair: Colour
    shoes: Colour
    socks: Colour
    shirt: Cloth
    trousers: Cloth
    sleeve_end: float
    trouser_end: float
    hem: float
    neckline: float
    hairline: float
    gloves: Colour | None = None
    fabric_seed: int = 0


def _draw_colour(generator: np.random.Generator) -> Colour:
    """Cloth: often grey, black or white, else any hue."""
    if generator.uniform() < 0.35:
        grey = float(generator.beta(0.6, 0.6)) * 0.9 + 0.04
        return (grey, grey, min(1.0, grey * float(generator.uniform(0.95, 1.08))))
    saturation, value = generator.uniform(0.25, 0.95), generator.uniform(0.2, 0.95)
    return colorsys.hsv_to_rgb(float(generator.uniform()), float(saturation), float(value))


def _draw_cloth(generator: np.random.Generator, plain: float) -> Cloth:
    pattern = "plain"
    if generator.uniform() > plain:
        pattern = str(generator.choice(["hoops", "stripes", "halves", "dots"]))
    return Cloth(
        _draw_colour(generator), _draw_colour(generator), pattern, float(generator.uniform(0.1, 0.35))
    )


def _draw_build(generator: np.random.Generator) -> Build:
    weight = float(np.clip(generator.normal(0, 1), -1.6, 2.2))
    own = generator.normal(0, 1, 6)
    return Build(
        limbs=float(np.clip(1 + 0.10 * weight + 0.05 * own[0], 0.8, 1.4)),
        belly=float(np.clip(1 + 0.13 * weight + 0.07 * own[1], 0.75, 1.55)),
        chest=float(np.clip(1 + 0.08 * weight + 0.05 * own[2], 0.8, 1.35)),
        hips=float(np.clip(1 + 0.08 * weight + 0.06 * own[3], 0.82, 1.4)),
        shoulders=float(np.clip(1 + 0.06 * weight + 0.08 * own[4], 0.8, 1.35)),
        head=float(np.clip(1 + 0.03 * own[5], 0.93, 1.08)),
        face_turn=float(np.clip(generator.normal(0, 0.35), -1, 1)),
        face_nod=float(np.clip(generator.normal(0, 0.12), -0.35, 0.35)),
        hair_length=float(generator.choice([0.0, generator.uniform(0.1, 1.0)], p=[0.6, 0.4])),
    )


def draw_look(generator: np.random.Generator) -> Look:
    """A person at random."""
    build = _draw_build(generator)
    sleeve = float(generator.choice([-0.2, 0.5, 0.75, 1.3, 1.95], p=[0.15, 0.35, 0.1, 0.05, 0.35]))
    trouser = float(generator.choice([0.35, 0.65, 0.9, 1.4, 1.92], p=[0.1, 0.15, 0.15, 0.08, 0.52]))
    shirt = _draw_cloth(generator, plain=0.55)
    trousers = _draw_cloth(generator, plain=0.85)
    if generator.uniform() < 0.12:  # a suit, an overall or a dress of one cloth
        trousers = shirt
    bald = generator.uniform() < 0.08 and build.hair_length == 0
    return Look(
        build=replace(build, sleeve=float(generator.uniform(3, 13)), trouser=float(generator.uniform(4, 17))),
        skin=_uneven(generator, SKIN_TONES[generator.integers(len(SKIN_TONES))]),
        hair=_uneven(generator, HAIR_COLOURS[generator.integers(len(HAIR_COLOURS))]),
        shoes=_draw_colour(generator),
        socks=_draw_colour(generator),
        shirt=shirt,
        trousers=trousers,
        sleeve_end=sleeve,
        trouser_end=trouser,
        hem=float(generator.uniform(-0.15, 0.5)),
        neckline=float(generator.uniform(1.9, 2.14)),
        hairline=0.0 if bald else 1.0,
        gloves=_draw_colour(generator) if generator.uniform() < 0.05 else None,
        fabric_seed=int(generator.integers(1 << 31)),
    )


def _uneven(generator: np.random.Generator, colour: Colour) -> Colour:
    red, green, blue = np.clip(np.array(colour) * generator.uniform(0.88, 1.1, 3), 0, 1).tolist()
    return (red, green, blue)


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


def _painted(
    kind: str, along: Float[np.ndarray, "rings 1"], around: Float[np.ndarray, "1 sides"], look: Look
) -> tuple[Colours, Float[np.ndarray, "rings sides"]]:
    """Colours and thickness of the cloth of one part."""
    flat = np.zeros(np.broadcast_shapes(along.shape, around.shape))
    skin = flat[..., None] + look.skin
    if kind == "trunk":
        shirt = (along > look.hem) & (along < look.neckline - 0.08 * np.maximum(np.sin(around), 0))
        trousers = (along <= look.hem) & (flat == 0)
        colours = np.where(shirt[..., None], look.shirt.paint(along, around), skin)
        colours = np.where(trousers[..., None], look.trousers.paint(along, around), colours)
        return colours, look.build.sleeve * shirt + 0.5 * look.build.trouser * trousers
    if kind == "shoulder":
        covered = (along < (1.1 if look.sleeve_end > 0 else 0.55)) & (along > 0.12) & (flat == 0)
        return np.where(
            covered[..., None], look.shirt.paint(along + 1.7, around), skin
        ), 0.6 * look.build.sleeve * covered
    if kind == "arm":
        covered = (along < look.sleeve_end) & (flat == 0)
        return np.where(
            covered[..., None], look.shirt.paint(along, around), skin
        ), look.build.sleeve * covered
    if kind == "leg":
        covered = (along < look.trouser_end) & (flat == 0)
        sock = (along > 1.72) & ~covered
        colours = np.where(sock[..., None], look.socks, skin)
        colours = np.where(covered[..., None], look.trousers.paint(along, around), colours)
        return colours, look.build.trouser * covered
    if kind == "foot":
        return flat[..., None] + look.shoes, flat
    if kind in ("hand", "thumb"):
        return flat[..., None] + (look.gloves or look.skin), flat
    if kind == "hair":
        return flat[..., None] + (look.hair if look.hairline else look.skin), flat
    return _face(along, around, look, skin), flat


def _face(
    along: Float[np.ndarray, "rings 1"], around: Float[np.ndarray, "1 sides"], look: Look, skin: Colours
) -> Colours:
    from_nose = np.abs(around - np.pi / 2)
    ahead = np.sin(around)
    colours = skin * (1 - 0.06 * (ahead < -0.2))[..., None]
    mouth = (np.abs(along - 0.24) < 0.035) & (from_nose < 0.33)
    eyes = (np.abs(along - 0.55) < 0.045) & (np.abs(from_nose - 0.42) < 0.15)
    brows = (np.abs(along - 0.67) < 0.045) & (np.abs(from_nose - 0.42) < 0.25)
    hairline = np.interp(ahead, [-1, -0.3, 0.25, 0.6, 1], [0.25, 0.3, 0.62, 0.84, 0.87])
    hair = (along > hairline) & (look.hairline > 0)
    colours = np.where(mouth[..., None], skin * (0.85, 0.55, 0.55), colours)
    colours = np.where(brows[..., None], 0.5 * skin + 0.5 * np.array(look.hair), colours)
    colours = np.where(eyes[..., None], (0.1, 0.08, 0.08), colours)
    painted: np.ndarray = np.where(hair[..., None], look.hair, colours)
    return painted
