"""Objects composed at random for turntable-like captures: one family of things per function.

Every family draws proportions, parts and materials; the result is then scaled to a size that such a thing has, stood
on z = 0 and turned. The same seed and number give the same object.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from recon.synth.materials import (
    Brick,
    Fabric,
    Glaze,
    Granite,
    Marble,
    Material,
    Metal,
    Mottled,
    Pages,
    Paint,
    Plaster,
    Print,
    Wood,
)  # fmt: skip
from recon.synth.noise import Noise
from recon.synth.recipe import Placed
from recon.synth.render import name_seed, rotation_of
from recon.synth.shapes import Book, Lathe, Mug, Plane, Plant, Rock, Shape, Slab, Tube
from recon.synth.solids import Carved, Extrusion, Ring, Scaled, Superquadric

SMALLEST, LARGEST = 0.08, 0.50
"""Extents in metres between which SpaRe's objects lie."""

_TALLEST = 0.23  # metres: what stands higher leaves the picture of cameras 0.7 m away
_TURNED = 40.0  # degrees to either side: fronts stay towards the cameras, which stand on one side only


@dataclass(frozen=True)
class ObjectScene:
    """One object, or a group of them, in metres with z up, standing on z = 0 around the origin.

    Attributes:
        family: what kind of thing it is.
        parts: in the order in which they were composed.
        extent: along x, y and z before it was turned, in metres.
    """

    family: str
    parts: tuple[Placed, ...]
    extent: tuple[float, float, float]


def family_of(seed: int, number: int) -> str:
    """Return the family of a scene's object."""
    turn, place = divmod(number, len(FAMILIES))
    order = np.random.default_rng([seed, turn, 1]).permutation(len(FAMILIES))
    return list(FAMILIES)[order[place]]


@lru_cache(maxsize=4)
def object_scene(seed: int, number: int) -> ObjectScene:
    """Compose the object of one scene.

    Args:
        seed: of the whole set.
        number: of the scene; the families take turns, in another order every round.
    """
    family = family_of(seed, number)
    random = np.random.default_rng([seed, number, 2])
    compose, smallest, largest = FAMILIES[family]
    group = _Group(random)
    compose(group)
    low, high = _bounds(group.parts, object_seed(seed, number))
    size = high - low
    wanted = math.exp(random.uniform(math.log(smallest), math.log(largest)))
    factor = min(wanted / float(size.max()), _TALLEST / float(size[2]))
    middle = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
    angle = float(random.uniform(-_TURNED, _TURNED))
    turned = rotation_of((0.0, 0.0, angle))
    parts = []
    for part in group.parts:
        x, y, z = map(float, turned @ (factor * (np.array(part.position) - middle)))
        rotation = (part.rotation[0], part.rotation[1], part.rotation[2] + angle)
        shape = Scaled(part.shape, factor)
        parts.append(replace(part, shape=shape, position=(x, y, z), rotation=rotation))
    extent = factor * size
    return ObjectScene(family, tuple(parts), (float(extent[0]), float(extent[1]), float(extent[2])))


def object_seed(seed: int, number: int) -> int:
    """Return the seed of a scene's irregular shapes and textures, as its recipe carries it."""
    return int(np.random.default_rng([seed, number, 3]).integers(1 << 31))


class _Group:
    """Parts of an object in the making."""

    def __init__(self, random: np.random.Generator) -> None:
        self.random = random
        self.parts: list[Placed] = []

    def add(
        self,
        shape: Shape,
        material: Material,
        at: tuple[float, float, float] = (0.0, 0.0, 0.0),
        turn: tuple[float, float, float] = (0.0, 0.0, 0.0),
        **materials: Material,
    ) -> None:
        name = f"part{len(self.parts):02d}"
        position, rotation = tuple(map(float, at)), tuple(map(float, turn))
        self.parts.append(Placed(name, shape, material, materials, position, rotation))  # type: ignore[arg-type]

    def between(self, low: float, high: float) -> float:
        return float(self.random.uniform(low, high))

    def whole(self, low: int, high: int) -> int:
        return int(self.random.integers(low, high + 1))

    def one(self, *choices):
        return choices[int(self.random.integers(len(choices)))]

    def color(self) -> str:
        return self.one(*_COLORS)


_COLORS = (
    "#a8322c", "#c8642a", "#d9a13a", "#7d8f3a", "#3f6b4a", "#2f6f78", "#2d4f86", "#4a3f7a", "#8a4a72", "#b8867a",
    "#6e4a34", "#3a3f44", "#d8cdb4", "#9aa7b0", "#b5452f", "#e0c46a",
)  # fmt: skip


def _any_material(group: _Group) -> Material:
    between, color = group.between, group.color
    return group.one(
        Paint(color(), between(0.25, 0.5)),
        Paint(color(), 0.8),
        Glaze(color(), color(), speckle=between(0.2, 1.0)),
        Mottled(color(), color(), scale=between(0.02, 0.06), roughness=between(0.35, 0.8)),
        Granite(grain=between(0.004, 0.008)),
        Marble(scale=between(0.08, 0.2)),
        _wood(group),
        Metal(group.one("#b9b4a8", "#b88a4a", "#a8683a", "#8f959b"), tarnish=between(0.1, 0.5)),
    )


def _wood(group: _Group, along: str = "z") -> Wood:
    light, dark = group.one(
        ("#c08a54", "#7a4a26"), ("#d9b98a", "#a87c4a"), ("#8a5a38", "#4a2a18"), ("#b06a42", "#6a3420")
    )
    return Wood(
        light, dark, ring=group.between(0.006, 0.014), along=along, roughness=group.one(0.35, 0.5, 0.7)
    )


def _turned_profile(
    group: _Group, height: float, widest: float, waists: int
) -> tuple[tuple[float, float], ...]:
    """Return a closed profile for the lathe, from the foot to the tip."""
    z = np.linspace(0.04, 0.97, 2 * waists + 1) * height
    radius = widest * np.array(
        [group.between(0.55, 1.0) if i % 2 == 0 else group.between(0.2, 0.5) for i in range(len(z))]
    )
    foot = group.between(0.7, 1.0) * widest
    return (
        (0.0, 0.0), (foot, 0.0), (foot, 0.02 * height),
        *((float(r), float(h)) for r, h in zip(radius, z, strict=True)), (0.0, height),
    )  # fmt: skip


def _vessel(group: _Group) -> None:
    between = group.between
    belly, neck, lip = between(0.05, 0.09), between(0.02, 0.045), between(0.028, 0.06)
    widest, shoulder, h = between(0.25, 0.6), between(0.7, 0.86), between(0.16, 0.26)
    wall, foot = 0.005, belly * between(0.5, 0.8)
    profile = (
        (0.0, 0.0), (foot, 0.0), (foot * 1.05, 0.01), (belly, widest * h), (neck, shoulder * h), (lip, h * 0.99),
        (lip - wall / 2, h), (lip - wall, h * 0.985), (neck - wall, shoulder * h), (belly * 0.8, widest * h * 0.9),
        (0.0, 0.03),
    )  # fmt: skip
    base, second = group.color(), group.color()
    bands = tuple(
        (b * h, (b + between(0.03, 0.1)) * h)
        for b in sorted(group.random.uniform(0.1, 0.85, group.whole(0, 3)))
    )
    glaze = group.one(
        Glaze(base, second, bands=bands, speckle=between(0.2, 1.0)),
        Glaze(base, second, bands=bands, roughness=0.5, speckle=0.7),
        Marble(scale=0.1),
    )
    group.add(Lathe(profile, wobble=between(0.0, 0.03)), glaze)
    for side in range(group.whole(0, 2)):
        sign = 1 if side == 0 else -1
        inner, outer = neck * 1.0, belly * between(1.2, 1.5)
        curve = (
            (sign * inner, 0.0, shoulder * h * 1.02), (sign * outer * 0.9, 0.0, shoulder * h * 1.05),
            (sign * outer, 0.0, 0.6 * (shoulder + widest) * h), (sign * belly * 0.96, 0.0, widest * h),
        )  # fmt: skip
        group.add(Tube(curve, between(0.005, 0.009)), glaze)


def _totem(group: _Group) -> None:
    z = 0.0
    for _ in range(group.whole(3, 5)):
        radii = tuple(group.random.uniform([0.03, 0.03, 0.018], [0.07, 0.07, 0.045]))
        roundness = (group.one(0.15, 0.3, 0.6, 1.0), group.one(0.15, 0.4, 1.0, 1.6))
        group.add(
            Superquadric(radii, roundness), _any_material(group), (0, 0, z), (0, 0, group.between(0, 90))
        )
        z += 2 * radii[2] * 0.985


def _block_tower(group: _Group) -> None:
    length, width, height = 0.075, 0.025, 0.015
    layers = group.whole(9, 16)
    for layer in range(layers):
        present = [True] * 3
        if 0 < layer < layers - 1:
            present = [group.random.random() > 0.22 for _ in range(3)]
            if sum(present) < 2:
                present = [True, False, True]
        for column in range(3):
            if not present[column]:
                continue
            aside, along = (
                (column - 1) * width + group.between(-0.0005, 0.0005),
                group.between(-1, 1) * group.one(0.001, 0.001, 0.008),
            )
            turned = layer % 2 == 1
            at = (aside, along, layer * height) if turned else (along, aside, layer * height)
            size = (width - 0.0004, length, height) if turned else (length, width - 0.0004, height)
            wood = Wood("#d9b98a", "#b58a58", along="y" if turned else "x", roughness=0.55)
            group.add(Slab(size, 0.0012), wood, at, (0, 0, group.between(-1.5, 1.5)))
    for _ in range(group.whole(0, 3)):
        angle = group.between(0, 2 * math.pi)
        at = (0.09 * math.cos(angle), 0.09 * math.sin(angle), 0.0)
        group.add(
            Slab((length, width, height), 0.0012),
            Wood("#d9b98a", "#b58a58", roughness=0.55),
            at,
            (0, 0, math.degrees(angle) + 90),
        )


def _stump(group: _Group) -> None:
    radius, height = group.between(0.08, 0.12), group.between(0.06, 0.14)
    bark = Mottled("#5a4634", "#8a735a", scale=0.02, grain=0.8, relief=0.002, roughness=0.95)
    rings = Wood("#cfa873", "#8f6236", ring=group.between(0.004, 0.008), along="z", roughness=0.8)
    lobes = group.whole(5, 9)
    group.add(
        Extrusion("lobes", lobes, radius, height, depth=0.1, taper=group.between(0.82, 0.95), bevel=0.004),
        bark,
        top=rings,
        bottom=rings,
    )
    for index in range(group.whole(3, 5)):
        angle = index * 2 * math.pi / 4 + group.between(0, 0.8)
        x, y = math.cos(angle), math.sin(angle)
        reach = radius * group.between(1.3, 1.6)
        root = (
            (0.7 * radius * x, 0.7 * radius * y, 0.03),
            (radius * x, radius * y, 0.016),
            (reach * x, reach * y, 0.0),
        )
        group.add(Tube(root, group.between(0.012, 0.018)), bark)
    for _ in range(group.whole(2, 4)):
        angle, stem = group.between(0, 2 * math.pi), group.between(0.02, 0.035)
        cap = group.between(0.014, 0.024)
        profile = (
            (0.0, 0.0), (0.005, 0.0), (0.004, stem), (cap * 0.9, stem - 0.003), (cap, stem + 0.002),
            (cap * 0.6, stem + cap * 0.6), (0.0, stem + cap * 0.75),
        )  # fmt: skip
        r = group.between(0.2, 0.6) * radius
        group.add(
            Lathe(profile, 0.02),
            Mottled("#8a4a2c", "#a8643a", scale=0.02, grain=0.3, roughness=0.4),
            (r * math.cos(angle), r * math.sin(angle), height),
        )


def _mannequin(group: _Group) -> None:
    wood = _wood(group)
    lean = group.between(-6, 6)
    group.add(Lathe(((0.0, 0.0), (0.055, 0.0), (0.057, 0.008), (0.05, 0.014), (0.0, 0.015))), _wood(group))
    group.add(Tube(((0, 0.014, 0.01), (0, 0.014, 0.13)), 0.003), Metal(tarnish=0.1))
    hip, chest, head = 0.135, 0.175, 0.235
    group.add(Superquadric((0.024, 0.015, 0.019), (0.8, 0.7)), wood, (0, 0, hip - 0.02))
    group.add(Superquadric((0.032, 0.018, 0.032), (0.7, 0.7)), wood, (0, 0, chest - 0.016), (lean, 0, 0))
    group.add(Tube(((0, 0, hip), (0, 0, head)), 0.007), wood)
    group.add(Superquadric((0.0165, 0.019, 0.024), (0.9, 1.0)), wood, (0, 0, head), (lean, 0, 0))
    joint = Rock((0.008, 0.008, 0.008), 0.0)
    for sign in (-1, 1):
        shoulder = np.array([sign * 0.029, 0.0, chest + 0.03])
        group.add(joint, wood, tuple(shoulder - [0, 0, 0.008]))
        raise_, forward = math.radians(group.between(-70, 60)), group.between(-0.03, 0.03)
        upper = np.array([sign * 0.045 * math.cos(raise_), forward, 0.045 * math.sin(raise_)])
        elbow = shoulder + upper
        bend = raise_ + math.radians(group.between(-60, 60))
        hand = elbow + np.array([sign * 0.04 * math.cos(bend), forward - 0.012, 0.04 * math.sin(bend)])
        knee = np.array([sign * group.between(0.016, 0.024), group.between(-0.02, 0.004), 0.075])
        foot = np.array([sign * 0.022, group.between(-0.012, 0.012), 0.02])
        for start, end, thick in (
            (shoulder, elbow, 0.0075), (elbow, hand, 0.0062), (np.array([sign * 0.014, 0, hip - 0.005]), knee, 0.0098),
            (knee, foot, 0.008),
        ):  # fmt: skip
            group.add(Tube((tuple(start), tuple((start + end) / 2), tuple(end)), thick), wood)
            group.add(joint, wood, tuple(end - [0, 0, 0.008]))
        group.add(Superquadric((0.009, 0.019, 0.006), (0.6, 0.7)), wood, (foot[0], foot[1] - 0.01, 0.013))


def _hammer(group: _Group) -> None:
    steel = Metal(group.one("#9a9a98", "#8b8f94", "#a39a86"), tarnish=group.between(0.2, 0.5), roughness=0.55)
    long, wide, high = group.between(0.1, 0.14), group.between(0.06, 0.08), group.between(0.06, 0.075)
    group.add(Superquadric((long / 2, wide / 2, high / 2), (0.12, 0.12)), steel)
    for sign in (-1, 1):
        group.add(
            Slab((0.008, wide * 1.03, high * 1.02), 0.002),
            Metal("#b88a4a", tarnish=0.2),
            (sign * long * 0.3, 0, -high * 0.01),
        )
    group.add(Lathe(((0.0, 0.0), (0.018, 0.0), (0.016, 0.01), (0.0, 0.012))), steel, (0, 0, high * 0.97))
    handle = group.between(0.1, 0.15)
    grip = Fabric(
        (group.one("#5a3824", "#3a2a22", "#6a4a30"), "#2a1c14"), stripes=0.012, plaid=False, roughness=0.7
    )
    group.add(
        Lathe(((0.0, 0.0), (0.012, 0.0), (0.0135, handle * 0.5), (0.012, handle), (0.0, handle))),
        grip,
        (0, 0, high),
    )
    group.add(Superquadric((0.018, 0.018, 0.012), (0.5, 0.5)), steel, (0, 0, high + handle - 0.004))
    group.add(Ring(0.016, 0.0025, upright=True), Metal("#6e6a62"), (0, 0, high + handle + 0.014))


def _amplifier(group: _Group) -> None:
    width, deep, high = group.between(0.22, 0.34), group.between(0.1, 0.15), group.between(0.12, 0.17)
    skin = group.color()
    case = group.one(
        Mottled(skin, skin, scale=0.02, grain=0.3, relief=0.0006, roughness=0.6), _wood(group, "x")
    )
    front = -deep / 2
    group.add(Slab((width, deep, high), 0.009), case)
    cloth = Fabric(
        (group.one("#b8a888", "#4a4a4c", "#8a7a5a"), group.color()),
        stripes=0.02,
        thread=0.003,
        roughness=0.95,
    )
    group.add(Slab((width * 0.9, 0.004, high * 0.62), 0.0015), cloth, (0, front - 0.001, high * 0.06))
    metal = Metal(group.one("#b9b4a8", "#b88a4a", "#8f959b"), tarnish=0.1)
    group.add(Slab((width * 0.9, 0.004, high * 0.2), 0.001), metal, (0, front - 0.001, high * 0.74))
    knobs = group.whole(4, 7)
    for index in range(knobs):
        x = width * 0.8 * ((index + 0.5) / knobs - 0.5)
        knob = Extrusion("gear", 18, 0.011, 0.013, depth=0.08, taper=0.9, bevel=0.001)
        group.add(knob, Paint("#1c1c1e", 0.4), (x, front - 0.003, high * 0.84), (90, 0, 0))
    group.add(
        Slab((width * 0.2, 0.002, high * 0.07), 0.0005),
        Print("label"),
        (width * 0.3, front - 0.004, high * 0.1),
    )
    for x in (-1, 1):
        for y in (-1, 1):
            group.add(
                Superquadric((0.01, 0.01, 0.007), (0.4, 1.0)),
                Paint("#222222", 0.8),
                (x * width * 0.42, y * deep * 0.36, -0.011),
            )
    curve = (
        (-0.07, 0, high - 0.002),
        (-0.06, 0, high + 0.016),
        (0, 0, high + 0.022),
        (0.06, 0, high + 0.016),
        (0.07, 0, high - 0.002),
    )
    group.add(Tube(curve, 0.007), Paint("#2a2422", 0.5))


def _machine(group: _Group) -> None:
    z = 0.0
    for index in range(group.whole(2, 4)):
        radius, high = group.between(0.035, 0.08) * (0.85**index), group.between(0.012, 0.03)
        kind = group.one("gear", "gear", "polygon", "lobes")
        shape = Extrusion(
            kind,
            group.whole(6, 16),
            radius,
            high,
            group.between(0.1, 0.22),
            twist=group.one(0, 0, 12, 25),
            bevel=0.0015,
        )
        group.add(
            shape,
            group.one(Metal(tarnish=0.3), Metal("#b88a4a", tarnish=0.3), Paint(group.color(), 0.35)),
            (0, 0, z),
            (0, 0, group.between(0, 60)),
        )
        for bolt in range(group.whole(0, 6)):
            angle = bolt * math.pi / 3
            at = (0.6 * radius * math.cos(angle), 0.6 * radius * math.sin(angle), z + high)
            group.add(Extrusion("polygon", 6, 0.006, 0.005, bevel=0.0008), Metal("#8f959b", tarnish=0.1), at)
        z += high
    shaft = group.between(0.03, 0.07)
    group.add(
        Lathe(((0.0, 0.0), (0.011, 0.0), (0.011, shaft), (0.008, shaft + 0.003), (0.0, shaft + 0.003))),
        Metal(tarnish=0.15),
        (0, 0, z),
    )
    group.add(
        Extrusion("gear", group.whole(9, 14), 0.032, 0.012, 0.25, bevel=0.001),
        Paint(group.color(), 0.35),
        (0, 0, z + shaft * 0.6),
    )


def _books(group: _Group) -> None:
    z = 0.0
    for _ in range(group.whole(2, 4)):
        size = (group.between(0.12, 0.16), group.between(0.18, 0.23), group.between(0.018, 0.045))
        inks = (group.color(), group.color(), group.color(), group.color())
        cover = Print("cover", paper=group.one("#e8e0cc", "#d8cfb0", "#c9d2d4"), inks=inks)
        back = Paint(group.color(), 0.5)
        at = (group.between(-0.015, 0.015), group.between(-0.015, 0.015), z)
        group.add(
            Book(size),
            cover,
            at,
            (0, 0, group.between(-25, 25)),
            pages=Pages(),
            back=back,
            spine=Print("label", inks=inks),
        )
        z += size[2]
    if group.random.random() < 0.7:
        cup = Glaze(group.color(), group.color(), bands=((0.02, 0.03), (0.06, 0.066)))
        group.add(
            Mug(),
            cup,
            (group.between(-0.02, 0.02), group.between(-0.03, 0.03), z),
            (0, 0, group.between(0, 360)),
        )
    else:
        group.add(Carved((0.04, 0.035, 0.035)), _any_material(group), (0.0, 0.02, z))


def _potted_plant(group: _Group) -> None:
    high, top = group.between(0.07, 0.11), group.between(0.05, 0.07)
    foot = top * group.between(0.6, 0.8)
    profile = (
        (0.0, 0.0), (foot, 0.0), (foot, 0.004), (top * 0.97, high * 0.8), (top * 1.06, high * 0.82),
        (top * 1.06, high * 0.99),
        (top, high), (top * 0.94, high * 0.97), (top * 0.9, high * 0.86), (0.0, high * 0.86),
    )  # fmt: skip
    pot = group.one(
        Mottled("#a8603a", "#c08a66", scale=0.05, roughness=0.85),
        Glaze(group.color(), group.color()),
        Plaster(group.color()),
    )
    group.add(Lathe(profile, 0.006), pot)
    soil = Mottled("#2e231b", "#54402f", scale=0.006, grain=0.9, relief=0.002, roughness=0.95)
    group.add(Rock((top * 0.9, top * 0.9, 0.014), 0.3), soil, (0, 0, high * 0.8))
    group.add(
        Plant(group.whole(12, 20), group.between(0.12, 0.18), group.between(0.03, 0.05)),
        _leaf(group),
        (0, 0, high * 0.85),
    )


def _leaf(group: _Group) -> Material:
    from recon.synth.materials import Leaf

    return Leaf(
        *group.one(
            ("#3f6b2c", "#a9bf74"), ("#2e5a3a", "#8fb08a"), ("#6b7a2c", "#c9c97a"), ("#5a3a4a", "#a9708a")
        )
    )


def _sculpture(group: _Group) -> None:
    side, high = group.between(0.07, 0.1), group.between(0.02, 0.05)
    plinth = group.one(Granite(grain=0.005), Marble("#3a3836", "#b8b0a4", scale=0.08), _wood(group, "x"))
    group.add(Slab((side, side, high), 0.003), plinth)
    radii = tuple(group.random.uniform([0.03, 0.025, 0.045], [0.045, 0.04, 0.08]))
    stone = group.one(
        Marble(scale=group.between(0.05, 0.12)),
        Plaster("#d8d0c0"),
        Granite("#b8a892", grain=0.004),
        Metal("#8a6a42", tarnish=0.5),
    )
    group.add(
        Carved(radii, (group.one(0.4, 1.0), group.one(0.4, 1.0)), group.whole(3, 9), group.whole(3, 7), 0.32),
        stone,
        (0, 0, high - 0.006),
        (0, 0, group.between(0, 360)),
    )
    if group.random.random() < 0.5:
        group.add(
            Ring(group.between(0.03, 0.045), 0.008, upright=True),
            _any_material(group),
            (0, 0, high + 2 * radii[2] - 0.03),
            (0, 0, group.between(0, 180)),
        )


def _fruit_bowl(group: _Group) -> None:
    radius, high = group.between(0.09, 0.12), group.between(0.045, 0.065)
    profile = (
        (0.0, 0.0), (radius * 0.45, 0.0), (radius * 0.45, 0.008), (radius * 0.8, high * 0.45), (radius, high),
        (radius - 0.003, high + 0.002), (radius - 0.006, high), (radius * 0.75, high * 0.5), (radius * 0.4, 0.016),
        (0.0, 0.014),
    )  # fmt: skip
    group.add(
        Lathe(profile, 0.01),
        group.one(Glaze(group.color(), group.color(), bands=((high * 0.7, high * 0.8),)), _wood(group, "x")),
    )
    kinds = (
        ((0.034, 0.034, 0.031), Mottled("#b5332a", "#d9a13a", scale=0.03, grain=0.3, roughness=0.3)),
        ((0.036, 0.036, 0.035), Mottled("#d9741a", "#e79a3a", scale=0.03, grain=0.3, relief=0.0004, roughness=0.4)),
        ((0.027, 0.027, 0.036), Mottled("#d8c23a", "#b8a02a", scale=0.03, grain=0.3, roughness=0.45)),
        ((0.03, 0.03, 0.03), Mottled("#7d8f3a", "#a9b45a", scale=0.03, grain=0.4, roughness=0.35)),
        ((0.024, 0.024, 0.024), Mottled("#4a2f4a", "#7a4a5a", scale=0.02, grain=0.4, roughness=0.5)),
    )  # fmt: skip
    start = group.between(0, 2 * math.pi)
    for index in range(6):
        radii, skin = group.one(*kinds)
        angle = start + index * 2 * math.pi / 5
        reach = radius * 0.56 if index < 5 else 0.0
        lift = high * 0.42 if index < 5 else high * 0.42 + 0.034
        group.add(
            Rock(radii, group.between(0.02, 0.06)),
            skin,
            (reach * math.cos(angle), reach * math.sin(angle), lift),
            (group.between(-20, 20), group.between(-20, 20), group.between(0, 360)),
        )


def _lantern(group: _Group) -> None:
    radius, high, bars = group.between(0.04, 0.055), group.between(0.1, 0.15), group.whole(4, 7)
    metal = group.one(
        Metal("#3a3836", tarnish=0.3, roughness=0.6), Metal("#b88a4a", tarnish=0.4), Paint(group.color(), 0.4)
    )
    sides = group.one(bars, 40)
    group.add(Extrusion("polygon", sides, radius * 1.25, 0.016, bevel=0.003), metal)
    for index in range(bars):
        angle = 2 * math.pi * index / bars
        x, y = radius * math.cos(angle), radius * math.sin(angle)
        group.add(Tube(((x, y, 0.01), (x * 1.06, y * 1.06, high * 0.5), (x, y, high)), 0.0035), metal)
    group.add(
        Extrusion("polygon", sides, radius * 1.3, 0.035, taper=0.35, bevel=0.002), metal, (0, 0, high - 0.004)
    )
    group.add(Ring(0.016, 0.0028, upright=True), metal, (0, 0, high + 0.026))
    candle = group.between(0.4, 0.7) * high
    wax = Paint(group.one("#e6dcc3", "#d8cdb4", "#b5452f"), 0.5)
    group.add(
        Lathe(
            ((0.0, 0.0), (0.019, 0.0), (0.019, candle), (0.015, candle + 0.001), (0.0, candle - 0.003)), 0.01
        ),
        wax,
        (0, 0, 0.014),
    )


def _toy_car(group: _Group) -> None:
    paint, trim = Paint(group.color(), group.between(0.22, 0.4)), Paint(group.color(), 0.5)
    long, wide, middle = group.between(0.13, 0.17), group.between(0.06, 0.075), group.between(-0.015, 0.01)
    group.add(Superquadric((long / 2, wide / 2, 0.02), (0.35, 0.25)), paint, (0, 0, 0.014))
    cabin = (long * group.between(0.24, 0.3), wide * 0.42, group.between(0.016, 0.022))
    group.add(Superquadric(cabin, (0.5, 0.3)), Paint("#23282c", 0.2), (middle, 0, 0.04))
    group.add(
        Superquadric((cabin[0] * 0.8, cabin[1] * 0.95, 0.004), (0.5, 0.35)),
        trim,
        (0, 0, 0.038 + 2 * cabin[2]),
    )
    for x in (-1, 1):
        for y in (-1, 1):
            at = (x * long * 0.31, y * wide * 0.5 - (0.007 if y > 0 else -0.007), 0.02)
            group.add(
                Extrusion("gear", 30, 0.02, 0.014, 0.05, bevel=0.002),
                Paint("#1e1e20", 0.8),
                at,
                (-90 if y > 0 else 90, 0, 0),
            )
            hub = (at[0], at[1] + y * 0.012, 0.02)
            group.add(
                Extrusion("star", 5, 0.011, 0.004, 0.45, bevel=0.0006),
                Metal(tarnish=0.1),
                hub,
                (-90 if y > 0 else 90, 0, 0),
            )
        group.add(Slab((0.006, wide * 0.8, 0.008), 0.002), Metal(tarnish=0.15), (x * long * 0.495, 0, 0.024))
    group.add(Slab((long * 0.5, wide * 0.02, 0.012), 0.0005), Print("label"), (0, -wide * 0.5, 0.03))


def _boxes(group: _Group) -> None:
    spots = [(-0.05, -0.03), (0.06, 0.02), (-0.01, 0.07)]
    tops = []
    for x, y in spots[: group.whole(2, 3)]:
        size = tuple(group.random.uniform([0.06, 0.05, 0.04], [0.1, 0.08, 0.11]))
        angle = group.between(-30, 30)
        art = Print(
            group.one("cover", "map", "label", "painting"),
            inks=(group.color(), group.color(), group.color(), group.color()),
        )
        wrap = group.one(
            art,
            Fabric(("#d8d0bd", group.color(), group.color()), stripes=0.02),
            Mottled(group.color(), group.color(), scale=0.02),
        )
        group.add(Slab(size, 0.0015), wrap, (x, y, 0), (0, 0, angle))
        ribbon = Paint(group.color(), 0.3)
        group.add(Slab((size[0] + 0.001, 0.01, size[2] + 0.0008), 0.0004), ribbon, (x, y, 0), (0, 0, angle))
        group.add(Slab((0.01, size[1] + 0.001, size[2] + 0.0008), 0.0004), ribbon, (x, y, 0), (0, 0, angle))
        tops.append((x, y, size[2]))
    x, y, z = max(tops, key=lambda top: top[2])
    group.add(
        Extrusion("star", group.whole(5, 8), 0.026, 0.012, 0.5, bevel=0.002),
        Paint(group.color(), 0.25),
        (x, y, z),
    )


def _cairn(group: _Group) -> None:
    z, radius = 0.0, group.between(0.06, 0.08)
    for _ in range(group.whole(4, 6)):
        radii = (
            radius * group.between(0.85, 1.1),
            radius * group.between(0.7, 0.95),
            radius * group.between(0.4, 0.6),
        )
        stone = group.one(
            Granite(grain=0.004),
            Mottled(group.color(), "#8a8a84", scale=0.04, grain=0.6, roughness=0.8),
            Marble("#8f8b84", "#d8d4cc", scale=0.06, roughness=0.5),
        )
        rock = Rock(radii, group.between(0.08, 0.16), group.one(0.0, 0.5, 0.9))
        group.add(
            rock,
            stone,
            (group.between(-0.006, 0.006), group.between(-0.006, 0.006), z),
            (group.between(-6, 6), group.between(-6, 6), group.between(0, 360)),
        )
        z += 2 * radii[2] * 0.84
        radius *= group.between(0.72, 0.86)


def _chess(group: _Group) -> None:
    board = 0.2
    group.add(Slab((board + 0.02, board + 0.02, 0.012), 0.002), _wood(group, "x"))
    light, dark = _wood(group, "x"), Paint(group.one("#3a2a20", "#26333a", "#5a2a26"), 0.4)
    square = board / 8
    for row in range(8):
        for column in range(8):
            at = ((column - 3.5) * square, (row - 3.5) * square, 0.0122)
            group.add(
                Plane((square, square)),
                light if (row + column) % 2 else dark,
                at,
            )
    places = group.random.permutation(64)[: group.whole(6, 10)]
    white, black = (
        group.one(_wood(group), Marble(scale=0.05)),
        group.one(Paint("#2a2422", 0.25), Marble("#3a3836", "#b8b0a4", scale=0.05)),
    )
    for index, place in enumerate(places):
        high, wide = group.between(0.03, 0.06), 0.0105
        at = ((place % 8 - 3.5) * square, (place // 8 - 3.5) * square, 0.0122)
        group.add(
            Lathe(_turned_profile(group, high, wide, group.whole(1, 3))), white if index % 2 else black, at
        )


def _house(group: _Group) -> None:
    wide, deep, high = group.between(0.1, 0.14), group.between(0.08, 0.1), group.between(0.06, 0.1)
    wall = group.one(Brick(brick=(0.02, 0.008)), Plaster(group.color(), contrast=1.6))
    group.add(Slab((wide, deep, high), 0.001), wall)
    roof = Brick(group.one("#8a3f2c", "#4a5258", "#6a4a34"), "#5a3a2e", "#2a2422", brick=(0.014, 0.012))
    group.add(
        Extrusion("polygon", 4, 0.5 * math.hypot(wide, wide) * 1.12, deep * 0.62, taper=0.08, bevel=0.0005),
        roof,
        (0, 0, high),
        (0, 0, 45),
    )
    group.add(
        Slab((0.016, 0.016, deep * 0.6), 0.001), Brick(brick=(0.01, 0.005)), (wide * 0.25, 0, high + 0.01)
    )
    front = -deep / 2
    group.add(Slab((0.022, 0.004, 0.042), 0.001), _wood(group), (group.between(-0.01, 0.01), front, 0))
    for x in (-0.3, 0.3):
        group.add(Slab((0.022, 0.004, 0.024), 0.001), Paint("#23282c", 0.2), (x * wide, front, high * 0.5))
        group.add(
            Slab((0.028, 0.006, 0.004), 0.001), Paint("#d8d0c0", 0.7), (x * wide, front, high * 0.5 - 0.004)
        )
        group.add(
            Slab((0.004, 0.022, 0.024), 0.001),
            Paint("#23282c", 0.2),
            (math.copysign(wide / 2, x), 0, high * 0.5),
        )


FAMILIES: dict[str, tuple[Callable[[_Group], None], float, float]] = {
    "vessel": (_vessel, 0.14, 0.30),
    "totem": (_totem, 0.12, 0.28),
    "block_tower": (_block_tower, 0.14, 0.30),
    "stump": (_stump, 0.16, 0.38),
    "mannequin": (_mannequin, 0.18, 0.30),
    "hammer": (_hammer, 0.18, 0.30),
    "amplifier": (_amplifier, 0.24, LARGEST),
    "machine": (_machine, SMALLEST, 0.26),
    "books": (_books, 0.18, 0.34),
    "potted_plant": (_potted_plant, 0.16, 0.34),
    "sculpture": (_sculpture, 0.10, 0.28),
    "fruit_bowl": (_fruit_bowl, 0.18, 0.36),
    "lantern": (_lantern, 0.15, 0.30),
    "toy_car": (_toy_car, 0.12, 0.40),
    "boxes": (_boxes, 0.16, 0.44),
    "cairn": (_cairn, 0.10, 0.28),
    "chess": (_chess, 0.20, LARGEST),
    "house": (_house, 0.15, 0.34),
}
"""By name: what composes it, and the extents in metres between which its largest one is drawn."""


def _bounds(parts: list[Placed], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and highest corner of the parts' box, as irregular as the renderer will make them."""
    points = [
        patch.points.reshape(-1, 3) @ rotation_of(part.rotation).T + part.position
        for part in parts
        for patch in part.shape.patches(Noise(seed, name_seed(part.name)))
    ]
    return np.min([p.min(axis=0) for p in points], axis=0), np.max([p.max(axis=0) for p in points], axis=0)
