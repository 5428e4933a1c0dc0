"""The appearance of rendered people, drawn at random: build, skin, hair and clothes. Colours are RGB from 0 to 1."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from evolift.synthetic.rendering.body_build import Build

Colour = tuple[float, float, float]
Colours = Float[np.ndarray, "rings sides 3"]

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
        pattern: "plain", "stripes", "hoops", "halves", "dots", "checks" or "blotches".
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
        elif self.pattern == "checks":
            chosen = (np.mod(along, 2 * self.period) < self.period) ^ (np.mod(around * 5 / np.pi, 2) < 1)
        elif self.pattern == "blotches":
            waves = np.sin(9 * along / self.period**0.5 + 3 * np.sin(2 * around)) + np.sin(
                4 * around + 7 * along
            )
            chosen = waves > 0.2
        else:
            chosen = np.ones(shape, bool)
        painted: np.ndarray = np.where(np.broadcast_to(chosen, shape)[..., None], self.colour, self.second)
        return painted


@dataclass(frozen=True)
class Appearance:
    """One person's appearance.

    Args:
        build: thickness of the body's parts.
        skin, hair, shoes, socks: colours.
        shirt, trousers: garments.
        sleeve_end: place on the arm where the sleeve ends: below 0 sleeveless, 1 elbow, 2 wrist.
        trouser_end: place on the leg where the trousers end: 1 knee, 2 ankle.
        hem: place on the trunk where the shirt ends and the trousers begin.
        neckline: place on the trunk where the shirt ends.
        hairline: 0 bald, 1 full hair.
        gloves, hat, soles, belt, beard: their colours, None where the person has none.
        print_: colour of a print on chest and back, or None.
        side_stripe: colour of a stripe down sleeves and trousers, or None.
        flare: how much wider than the skin loose cloth gets towards its end.
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
    hat: Colour | None = None
    soles: Colour | None = None
    belt: Colour | None = None
    beard: Colour | None = None
    print_: Colour | None = None
    side_stripe: Colour | None = None
    flare: float = 0.0
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
        pattern = str(generator.choice(["hoops", "stripes", "halves", "dots", "checks", "blotches"]))
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
        hair_length=float(generator.choice([0.0, generator.uniform(0.1, 1.0)], p=[0.6, 0.4])),
    )


def draw_appearance(generator: np.random.Generator) -> Appearance:
    """The appearance of a random person: build, skin, hair and clothes."""
    build = _draw_build(generator)
    sleeve = float(generator.choice([-0.2, 0.5, 0.75, 1.3, 1.95], p=[0.15, 0.35, 0.1, 0.05, 0.35]))
    trouser = float(generator.choice([0.35, 0.65, 0.9, 1.4, 1.92], p=[0.1, 0.15, 0.15, 0.08, 0.52]))
    shirt = _draw_cloth(generator, plain=0.55)
    trousers = _draw_cloth(generator, plain=0.85)
    if generator.uniform() < 0.12:  # a suit, an overall or a dress of one cloth
        trousers = shirt
    bald = generator.uniform() < 0.08 and build.hair_length == 0
    skirt = float(generator.uniform(0.35, 1.25)) if generator.uniform() < 0.09 else 0.0
    build = replace(
        build,
        sleeve=float(generator.uniform(2, 14)),
        trouser=float(generator.uniform(3, 18)),
        skirt=skirt,
        skirt_flare=float(generator.uniform(0.1, 1.2)),
    )

    def sometimes(chance: float) -> Colour | None:
        colour = _draw_colour(generator)
        return colour if generator.uniform() < chance else None

    return Appearance(
        build=build,
        skin=_uneven(generator, SKIN_TONES[generator.integers(len(SKIN_TONES))]),
        hair=_uneven(generator, HAIR_COLOURS[generator.integers(len(HAIR_COLOURS))]),
        shoes=_draw_colour(generator),
        socks=_draw_colour(generator),
        shirt=shirt,
        trousers=trousers,
        sleeve_end=sleeve,
        trouser_end=0.2 if skirt else trouser,
        hem=float(generator.uniform(-0.15, 0.5)),
        neckline=float(generator.uniform(1.98, 2.14)),
        hairline=0.0 if bald else 1.0,
        gloves=sometimes(0.05),
        hat=sometimes(0.14),
        soles=sometimes(0.5),
        belt=sometimes(0.2),
        beard=(0.12, 0.09, 0.07) if generator.uniform() < 0.12 and build.hair_length == 0 else None,
        print_=sometimes(0.3),
        side_stripe=sometimes(0.18),
        flare=float(generator.uniform(0, 14)) if generator.uniform() < 0.5 else 0.0,
        fabric_seed=int(generator.integers(1 << 31)),
    )


def _uneven(generator: np.random.Generator, colour: Colour) -> Colour:
    red, green, blue = np.clip(np.array(colour) * generator.uniform(0.88, 1.1, 3), 0, 1).tolist()
    return (red, green, blue)
