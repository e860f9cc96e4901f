"""Procedural materials: colour, gloss and relief as functions of place, never finer than the texels hold."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from recon.synth.noise import Noise, smoothstep
from recon.synth.print_design import draw_print


@dataclass(frozen=True, eq=False)
class Surface:
    """Where the texels of a patch lie.

    Attributes:
        points: [H, W, 3] metres in object axes.
        plane: [H, W, 2] metres along the patch's u and v from its corner.
        texel: distance between neighbouring texels in metres.
    """

    points: Float[ndarray, "H W 3"]
    plane: Float[ndarray, "H W 2"]
    texel: float

    @property
    def extent(self) -> tuple[float, float]:
        """Size of the patch along u and v in metres."""
        return float(self.plane[-1, -1, 0]), float(self.plane[-1, -1, 1])


@dataclass(frozen=True, eq=False)
class Appearance:
    """What a material looks like at the texels of a patch.

    Attributes:
        albedo: [H, W, 3] linear RGB in [0, 1].
        roughness: of the gloss, in [0, 1].
        height: [H, W] relief in metres, or None.
        metal: the albedo is the colour of mirrored light; nothing is scattered from inside.
    """

    albedo: Float[ndarray, "H W 3"]
    roughness: float
    height: Float[ndarray, "H W"] | None = None
    metal: bool = False


class Material(Protocol):
    """What a recipe may name under `material`; the fields are its settings. Colours are "#rrggbb" in sRGB."""

    def appearance(self, surface: Surface, noise: Noise) -> Appearance:
        """Return its look on a patch."""


@dataclass(frozen=True)
class Wood:
    """Boards with year rings, fibres, pores and, if wide, joints between planks."""

    light: str = "#c08a54"
    dark: str = "#7a4a26"
    ring: float = 0.011
    """Distance of year rings in metres."""
    plank: float = 0.0
    """Width of planks along the second axis in metres; 0 for one piece."""
    along: str = "x"
    """Axis of the grain: x, y or z."""
    roughness: float = 0.38

    def appearance(self, surface: Surface, noise: Noise) -> Appearance:
        texel = surface.texel
        order = {"x": [0, 1, 2], "y": [1, 0, 2], "z": [2, 0, 1]}[self.along]
        p = surface.points[..., order].copy()
        tint = np.zeros(p.shape[:2])
        joint = np.zeros(p.shape[:2])
        if self.plank > 0:
            number = np.floor(p[..., 1] / self.plank)
            inside = p[..., 1] / self.plank - number
            table = noise.random.standard_normal((97, 4))
            choice = table[number.astype(int) % 97]
            p = p + choice[..., :3] * [0.7, 0.05, 0.02]
            tint = 0.25 * choice[..., 3]
            edge = np.minimum(inside, 1 - inside) * self.plank
            joint = 1 - smoothstep(0.0004 + texel * 0.5, 0.0012 + texel * 1.5, edge)
        stretched = p * [0.06, 1.0, 1.0]
        waver = noise.fractal(stretched, 0.12, 0.012, gain=0.45, texel=texel)
        radius = np.hypot(p[..., 1] * 0.5 + 0.012 * waver, p[..., 2] + 0.07 + 0.1 * p[..., 0] * 0.15)
        phase = radius / max(self.ring, 6 * texel)
        rings = 0.5 + 0.5 * np.sin(2 * np.pi * phase)
        rings = rings**2
        fibre = noise.fractal(p * [0.035, 1.0, 1.0], 0.012, max(0.0011, 3 * texel), gain=0.85, texel=texel)
        pores = noise.smooth(p * [0.07, 1.0, 1.0], max(0.0016, 3 * texel), texel)
        pores = smoothstep(1.0, 2.2, pores)
        patches = noise.fractal(p * [0.3, 1.0, 1.0], 0.4, 0.05, texel=texel)
        mix = np.clip(0.30 + 0.38 * rings + 0.14 * fibre + 0.10 * patches + tint, 0, 1)
        albedo = _mix(self.light, self.dark, mix)
        albedo = albedo * (1 - 0.45 * pores - 0.75 * np.maximum(joint - 0.45 * pores, 0))[..., None]
        height = -0.00010 * pores - 0.0008 * joint + 0.00002 * fibre
        return Appearance(np.clip(albedo, 0.005, 0.95), self.roughness, height)


@dataclass(frozen=True)
class Marble:
    """Polished stone with branching veins."""

    base: str = "#dedad2"
    vein: str = "#5e5a58"
    scale: float = 0.2
    """Typical distance of veins in metres."""
    roughness: float = 0.16

    def appearance(self, surface: Surface, noise: Noise) -> Appearance:
        texel, p = surface.texel, surface.points
        warp = np.stack(
            [noise.fractal(p, self.scale, self.scale / 10, texel=texel) for _ in range(3)], axis=-1
        )
        bent = p + 0.18 * self.scale * warp
        veins = np.zeros(p.shape[:2])
        for octave in range(3):
            layer = noise.smooth(bent, self.scale / 1.7**octave, texel)
            width = max(0.10, 2.5 * texel / self.scale * 1.7**octave * 4)
            veins += np.exp(-((layer / width) ** 2)) * 0.75**octave
        clouds = noise.fractal(p, self.scale * 1.5, self.scale / 20, texel=texel)
        grain = noise.smooth(p, max(0.002, 3 * texel), texel)
        mix = np.clip(0.12 + 0.5 * veins * smoothstep(-1, 1, clouds) + 0.11 * clouds + 0.04 * grain, 0, 1)
        return Appearance(_mix(self.base, self.vein, mix), self.roughness)


@dataclass(frozen=True)
class Glaze:
    """Glossy pottery: a glaze with mottling, speckles and wavy bands around the axis."""

    base: str = "#2f5d73"
    second: str = "#d9cfb4"
    bands: tuple[tuple[float, float], ...] = ()
    """Height ranges in metres that show the second colour."""
    speckle: float = 0.5
    """Density of iron speckles, 0 to 1."""
    roughness: float = 0.22

    def appearance(self, surface: Surface, noise: Noise) -> Appearance:
        texel, p = surface.texel, surface.points
        edge = 0.003 * noise.fractal(p, 0.06, 0.008, texel=texel)
        z = p[..., 2] + edge
        soft = 0.0008 + 1.5 * texel
        band = np.zeros(z.shape)
        for low, high in self.bands:
            band = np.maximum(
                band, smoothstep(low - soft, low + soft, z) * (1 - smoothstep(high - soft, high + soft, z))
            )
        mottle = noise.fractal(p, 0.08, max(0.004, 3 * texel), gain=0.7, texel=texel)
        runs = noise.fractal(p * [1.0, 1.0, 0.2], 0.02, max(0.003, 3 * texel), texel=texel)
        albedo = _mix(self.base, self.second, np.clip(band + 0.06 * mottle, 0, 1))
        albedo = albedo * np.exp(0.16 * mottle + 0.12 * runs)[..., None]
        dots = noise.smooth(p, max(0.0045, 4 * texel), texel)
        dots = np.maximum(dots, 1.1 * noise.smooth(p, max(0.0025, 3 * texel), texel) - 0.4)
        speckle = smoothstep(2.4 - self.speckle, 3.0 - self.speckle, dots)
        albedo = albedo * (1 - 0.75 * speckle)[..., None]
        return Appearance(np.clip(albedo, 0.01, 0.95), self.roughness, 0.00012 * mottle)


@dataclass(frozen=True)
class Mottled:
    """A matt natural surface of two colours: clay, fruit skin, soil, cork."""

    base: str = "#b5653a"
    second: str = "#d8b79c"
    scale: float = 0.04
    """Size of the largest blotches in metres."""
    grain: float = 0.5
    """Contrast of the finest detail, 0 to 1."""
    gradient: float = 0.0
    """How much the second colour takes over per metre of height."""
    relief: float = 0.0003
    """Height of the relief in metres."""
    roughness: float = 0.75

    def appearance(self, surface: Surface, noise: Noise) -> Appearance:
        texel, p = surface.texel, surface.points
        blotches = noise.fractal(p, self.scale, self.scale / 12, gain=0.65, texel=texel)
        fine = noise.fractal(p, max(0.008, 6 * texel), max(0.0014, 3 * texel), gain=0.8, texel=texel)
        mix = np.clip(0.35 + 0.25 * blotches + 0.10 * self.grain * fine + self.gradient * p[..., 2], 0, 1)
        albedo = _mix(self.base, self.second, mix)
        albedo = albedo * np.exp(0.35 * self.grain * fine * (1 + 0.3 * blotches))[..., None]
        return Appearance(
            np.clip(albedo, 0.01, 0.95),
            self.roughness,
            self.relief * (0.6 * blotches + 0.4 * fine) if self.relief else None,
        )


@dataclass(frozen=True)
class Granite:
    """Coarse speckled stone of three minerals."""

    base: str = "#8d8983"
    light: str = "#cfc9c0"
    dark: str = "#3a3838"
    grain: float = 0.006
    """Size of the crystals in metres."""
    relief: float = 0.0004
    roughness: float = 0.6

    def appearance(self, surface: Surface, noise: Noise) -> Appearance:
        texel, p = surface.texel, surface.points
        grain = max(self.grain, 4 * texel)
        bright = smoothstep(0.25, 0.8, noise.fractal(p, grain * 3, grain, gain=0.9, texel=texel))
        black = smoothstep(0.6, 1.1, noise.fractal(p, grain * 2, grain, gain=0.9, texel=texel))
        clouds = noise.fractal(p, 0.15, 0.02, texel=texel)
        fine = noise.smooth(p, max(grain / 2, 3 * texel), texel)
        albedo = _linear(self.base) * (1 - bright)[..., None] + _linear(self.light) * bright[..., None]
        albedo = albedo * (1 - black)[..., None] + _linear(self.dark) * black[..., None]
        albedo = albedo * np.exp(0.15 * clouds + 0.12 * fine)[..., None]
        return Appearance(np.clip(albedo, 0.01, 0.95), self.roughness, self.relief * (fine + 0.5 * bright))


@dataclass(frozen=True)
class Plaster:
    """A painted wall: faint clouds, trowel marks and fine grain."""

    color: str = "#cfc6b8"
    contrast: float = 1.0
    relief: float = 0.0005
    roughness: float = 0.85

    def appearance(self, surface: Surface, noise: Noise) -> Appearance:
        texel, p = surface.texel, surface.points
        clouds = noise.fractal(p, 0.8, 0.03, gain=0.7, texel=texel)
        trowel = noise.fractal(p * [0.5, 1.0, 1.4], 0.06, max(0.006, 3 * texel), gain=0.8, texel=texel)
        stain = smoothstep(0.9, 2.2, noise.fractal(p, 0.35, 0.02, texel=texel))
        albedo = (
            _linear(self.color)
            * np.exp(self.contrast * (0.07 * clouds + 0.06 * trowel - 0.22 * stain))[..., None]
        )
        return Appearance(np.clip(albedo, 0.01, 0.95), self.roughness, self.relief * trowel)


@dataclass(frozen=True)
class Brick:
    """A wall of bricks in running bond, every brick of its own shade."""

    color: str = "#9a5843"
    second: str = "#c08e6c"
    mortar: str = "#b8b0a4"
    brick: tuple[float, float] = (0.23, 0.07)
    """Length and height in metres, joints included."""
    roughness: float = 0.85

    def appearance(self, surface: Surface, noise: Noise) -> Appearance:
        texel, p = surface.texel, surface.points
        wander = 0.003 * np.stack([noise.fractal(p, 0.1, 0.01, texel=texel) for _ in range(2)], axis=-1)
        u, v = np.moveaxis(surface.plane + wander, -1, 0)
        row = np.floor(v / self.brick[1])
        shifted = u / self.brick[0] + 0.5 * (row % 2)
        column = np.floor(shifted)
        table = noise.random.standard_normal((251, 2))
        shade = table[(row * 37 + column * 11).astype(int) % 251]
        edge = np.minimum(
            np.minimum(shifted - column, 1 - shifted + column) * self.brick[0],
            np.minimum(v / self.brick[1] - row, 1 - v / self.brick[1] + row) * self.brick[1],
        )
        joint = 1 - smoothstep(0.004, 0.006 + 2 * texel, edge)
        fine = noise.fractal(p, 0.04, max(0.003, 3 * texel), gain=0.8, texel=texel)
        spots = smoothstep(1.3, 2.0, noise.smooth(p, max(0.012, 3 * texel), texel))
        albedo = _mix(self.color, self.second, np.clip(0.35 + 0.3 * shade[..., 0] + 0.12 * fine, 0, 1))
        albedo = albedo * np.exp(0.16 * shade[..., 1] + 0.15 * fine - 0.5 * spots)[..., None]
        mortar = _linear(self.mortar) * np.exp(0.12 * fine)[..., None]
        albedo = albedo * (1 - joint)[..., None] + mortar * joint[..., None]
        return Appearance(np.clip(albedo, 0.01, 0.95), self.roughness, 0.0006 * fine - 0.005 * joint)


@dataclass(frozen=True)
class Fabric:
    """Woven cloth with irregular stripes along one or both directions."""

    colors: tuple[str, ...] = ("#d8d0bd", "#8b3b36", "#2e4057")
    """The first is the ground, the others the stripes."""
    stripes: float = 0.05
    """Typical distance of stripes in metres; 0 for plain cloth."""
    plaid: bool = True
    """Stripes in both directions."""
    thread: float = 0.0018
    """Distance of threads in metres."""
    roughness: float = 0.9

    def appearance(self, surface: Surface, noise: Noise) -> Appearance:
        texel, p = surface.texel, surface.points
        drift = 0.0015 * np.stack([noise.fractal(p, 0.08, 0.02, texel=texel) for _ in range(2)], axis=-1)
        u, v = np.moveaxis(surface.plane + drift, -1, 0)
        thread = max(self.thread, 4 * texel)
        over = 0.5 + 0.5 * np.sin(2 * np.pi * u / thread) * np.sin(2 * np.pi * v / thread)
        palette = [_linear(color) for color in self.colors]
        warp = _stripes(u, surface.extent[0], self.stripes, len(palette), noise, texel) @ np.array(palette)
        weft = warp
        if self.plaid:
            weft = _stripes(v, surface.extent[1], self.stripes, len(palette), noise, texel) @ np.array(
                palette
            )
        # Threads of both directions are too fine to see apart from afar: the weave only leans to one of them.
        albedo = warp * (0.25 + 0.5 * over)[..., None] + weft * (0.75 - 0.5 * over)[..., None]
        slub_u = noise.smooth(p * [0.06, 1.0, 1.0], max(0.003, 3 * texel), texel)
        slub_v = noise.smooth(p * [1.0, 0.06, 1.0], max(0.003, 3 * texel), texel)
        fuzz = noise.fractal(p, 0.03, max(0.002, 3 * texel), gain=0.9, texel=texel)
        albedo = albedo * np.exp(0.10 * slub_u + 0.10 * slub_v + 0.08 * fuzz)[..., None]
        return Appearance(np.clip(albedo, 0.01, 0.95), self.roughness, thread * 0.12 * (over - 0.5))


@dataclass(frozen=True)
class Print:
    """Printed paper: a book cover, a page of text, a map, a label or a painting, different for every seed."""

    design: str = "cover"
    """cover, page, map, label or painting."""
    paper: str = "#e8e0cc"
    inks: tuple[str, ...] = ("#1d3557", "#c1432e", "#e0a43a", "#4f7a5b")
    roughness: float = 0.45

    def appearance(self, surface: Surface, noise: Noise) -> Appearance:
        texel, p = surface.texel, surface.points
        height, width = p.shape[:2]
        ink = [tuple(_linear(color)) for color in self.inks]
        art = draw_print(self.design, width, height, texel, tuple(_linear(self.paper)), ink, noise)[::-1]
        wear = noise.fractal(p, 0.1, max(0.003, 3 * texel), gain=0.75, texel=texel)
        grain = noise.smooth(p, max(0.0016, 3 * texel), texel)
        albedo = art * np.exp(0.05 * wear + 0.025 * grain)[..., None]
        return Appearance(np.clip(albedo, 0.01, 0.95), self.roughness)


@dataclass(frozen=True)
class Pages:
    """The edge of a stack of paper."""

    color: str = "#e6dcc3"
    roughness: float = 0.9

    def appearance(self, surface: Surface, noise: Noise) -> Appearance:
        texel, p = surface.texel, surface.points
        sheets = noise.fractal(p * [0.02, 0.02, 1.0], 0.008, max(0.0012, 3 * texel), gain=0.9, texel=texel)
        stain = noise.fractal(p, 0.08, 0.01, texel=texel)
        albedo = _linear(self.color) * np.exp(0.16 * sheets + 0.06 * stain)[..., None]
        return Appearance(np.clip(albedo, 0.01, 0.95), self.roughness, 0.0002 * sheets)


@dataclass(frozen=True)
class Leaf:
    """A green blade with midrib, side veins and paler blotches."""

    color: str = "#3f6b2c"
    vein: str = "#a9bf74"
    roughness: float = 0.42

    def appearance(self, surface: Surface, noise: Noise) -> Appearance:
        texel, p = surface.texel, surface.points
        width, length = surface.extent
        u, v = surface.plane[..., 0] / width * 2 - 1, surface.plane[..., 1] / length
        midrib = np.exp(-((u * width / 2 / (0.0008 + texel)) ** 2))
        side = np.abs(np.sin(np.pi * 9 * (v - 0.35 * np.abs(u))))
        veins = np.exp(-((side / 0.22) ** 2)) * 0.45 * (1 - np.abs(u))
        blotch = noise.fractal(p, 0.05, max(0.003, 3 * texel), gain=0.7, texel=texel)
        shade = noise.random.normal(0, 0.13)
        mix = np.clip(0.85 * midrib + veins + 0.10 * blotch + 0.08, 0, 1)
        albedo = _mix(self.color, self.vein, mix) * np.exp(0.22 * blotch + shade)[..., None]
        return Appearance(np.clip(albedo, 0.01, 0.9), self.roughness, -0.0004 * np.maximum(midrib, veins))


@dataclass(frozen=True)
class Paint:
    """A plain painted or lacquered surface with faint unevenness."""

    color: str = "#808080"
    roughness: float = 0.4

    def appearance(self, surface: Surface, noise: Noise) -> Appearance:
        texel, p = surface.texel, surface.points
        uneven = noise.fractal(p, 0.1, max(0.004, 3 * texel), gain=0.7, texel=texel)
        return Appearance(
            np.clip(_linear(self.color) * np.exp(0.06 * uneven)[..., None], 0.005, 0.95), self.roughness
        )


@dataclass(frozen=True)
class Metal:
    """Brushed or cast metal with stains; dull, because a mirror would show little but the dark around it."""

    color: str = "#b9b4a8"
    stain: str = "#5a4a3c"
    tarnish: float = 0.3
    """Share of the surface that is stained."""
    brush: float = 0.5
    """Strength of fine parallel scratches, in [0, 1]."""
    roughness: float = 0.5

    def appearance(self, surface: Surface, noise: Noise) -> Appearance:
        texel, p = surface.texel, surface.points
        clouds = noise.fractal(p, 0.06, max(0.003, 3 * texel), gain=0.7, texel=texel)
        scratches = noise.smooth(p * [1.0, 1.0, 0.05], max(0.0015, 3 * texel), texel)
        mix = smoothstep(1.0 - 2.0 * self.tarnish, 2.0 - 2.0 * self.tarnish, clouds)
        albedo = _mix(self.color, self.stain, 0.85 * mix) * np.exp(0.12 * self.brush * scratches)[..., None]
        relief = 0.00004 * self.brush * scratches + 0.0001 * clouds
        return Appearance(np.clip(albedo, 0.01, 0.95), self.roughness, relief, metal=True)


MATERIALS: dict[str, type] = {
    "wood": Wood,
    "marble": Marble,
    "glaze": Glaze,
    "mottled": Mottled,
    "granite": Granite,
    "plaster": Plaster,
    "brick": Brick,
    "fabric": Fabric,
    "print": Print,
    "pages": Pages,
    "leaf": Leaf,
    "paint": Paint,
    "metal": Metal,
}


def _stripes(
    along: ndarray, extent: float, distance: float, count: int, noise: Noise, texel: float
) -> Float[ndarray, "H W C"]:
    """Return weights of the colours: the ground with soft-edged stripes of random width and distance."""
    weights = np.zeros((*along.shape, count))
    weights[..., 0] = 1.0
    if distance <= 0 or count < 2:
        return weights
    place = noise.random.uniform(0, distance)
    while place < extent:
        width = distance * noise.random.choice([0.06, 0.12, 0.3, 0.5]) * noise.random.uniform(0.7, 1.3)
        color = 1 + int(noise.random.integers(count - 1))
        soft = 0.0005 + 1.2 * texel
        inside = smoothstep(-soft, soft, along - place) * (1 - smoothstep(-soft, soft, along - place - width))
        weights *= (1 - inside)[..., None]
        weights[..., color] += inside
        place += width + distance * noise.random.uniform(0.15, 1.0)
    return weights


def _linear(color: str) -> Float[ndarray, " 3"]:
    """Return the linear RGB of "#rrggbb"."""
    srgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255.0
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _mix(first: str, second: str, amount: Float[ndarray, "H W"]) -> Float[ndarray, "H W 3"]:
    """Return a blend of two colours, even to the eye (mixed in square-root space)."""
    a, b = np.sqrt(_linear(first)), np.sqrt(_linear(second))
    return (a + (b - a) * amount[..., None]) ** 2
