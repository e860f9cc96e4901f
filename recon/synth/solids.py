"""Solids with one centre: superquadrics, carved blocks, extruded outlines, closed rings, and any shape scaled.

All but the ring are given by the distance from an axis or a centre to the surface, so a solid that is cut by planes and
hollowed by balls is again a grid of points: constructive geometry without meshes that have to be stitched.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from recon.synth.noise import Noise
from recon.synth.shapes import Patch, Shape, Tube, grid_normals

_FACE_STEPS = 96  # grid cells along an edge of each of the six faces that a ball is divided into


@dataclass(frozen=True)
class Superquadric:
    """Between box, cylinder, ball and octahedron, resting on z = 0. Part: body."""

    radii: tuple[float, float, float] = (0.05, 0.05, 0.05)
    """Half axes in metres."""
    roundness: tuple[float, float] = (0.4, 0.4)
    """Along z, and seen from above: 0.1 is nearly square, 1 round, 2 a rhombus."""

    def patches(self, noise: Noise) -> list[Patch]:
        return _star(lambda d: _superquadric_distance(d, self.radii, self.roundness), self.radii)


@dataclass(frozen=True)
class Carved:
    """A superquadric cut by random planes and hollowed by random balls, resting on z = 0. Part: body."""

    radii: tuple[float, float, float] = (0.06, 0.06, 0.06)
    roundness: tuple[float, float] = (0.6, 0.6)
    cuts: int = 6
    """Flat faces."""
    scoops: int = 4
    """Round hollows."""
    depth: float = 0.25
    """How deep cuts and hollows go, relative to the radius."""

    def patches(self, noise: Noise) -> list[Patch]:
        random, radii = noise.random, np.array(self.radii)
        normals = _directions(random, self.cuts)
        offsets = random.uniform(1 - self.depth, 0.97, self.cuts)
        middles = _directions(random, self.scoops) * random.uniform(1.05, 1.3, (self.scoops, 1))
        hollow = np.linalg.norm(middles, axis=-1) - 1 + self.depth * random.uniform(0.5, 1.0, self.scoops)

        def distance(direction: ndarray) -> ndarray:
            reach = _superquadric_distance(direction, self.radii, self.roundness)
            unit = (
                direction / radii
            )  # cuts and hollows are placed in the space where the solid is a unit ball
            for normal, offset in zip(normals, offsets, strict=True):
                facing = unit @ normal
                reach = np.where(facing > 1e-6, np.minimum(reach, offset / np.maximum(facing, 1e-6)), reach)
            for middle, radius in zip(middles, hollow, strict=True):
                a, b = (unit**2).sum(-1), unit @ middle
                root = b**2 - a * (middle @ middle - radius**2)
                entry = (b - np.sqrt(np.maximum(root, 0.0))) / a
                reach = np.where((root > 0) & (b > 0), np.minimum(reach, entry), reach)
            return reach

        return _star(distance, self.radii)


@dataclass(frozen=True)
class Extrusion:
    """An outline drawn upwards from z = 0, narrowed and twisted, with round rims. Parts: side, top, bottom."""

    outline: Literal["gear", "star", "polygon", "lobes", "cross"] = "polygon"
    corners: int = 6
    """Teeth, points, corners or lobes."""
    radius: float = 0.05
    """Of the outline's outermost points in metres."""
    height: float = 0.04
    depth: float = 0.25
    """How far teeth, points and lobes go in, relative to the radius."""
    taper: float = 1.0
    """Size at the top relative to the bottom."""
    twist: float = 0.0
    """Degrees from bottom to top."""
    bevel: float = 0.002
    """Radius of the rims in metres."""

    def patches(self, noise: Noise) -> list[Patch]:
        angle = np.linspace(0, 2 * np.pi, 24 * max(self.corners, 15) + 1)
        reach = self.radius * _outline(self.outline, angle, self.corners, self.depth)
        bevel = min(self.bevel, 0.3 * self.height, 0.3 * float(reach.min()))
        arc = np.linspace(0, np.pi / 2, 6)
        rise = np.linspace(bevel, self.height - bevel, 32)[1:-1]
        z = np.concatenate([bevel * (1 - np.cos(arc)), rise, self.height - bevel + bevel * np.sin(arc)])
        inset = np.concatenate([bevel * (1 - np.sin(arc)), np.zeros(len(rise)), bevel * (1 - np.cos(arc))])
        side = self._ring(angle, reach[None, :] - inset[:, None], z)
        length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(z), np.diff(inset)))])
        girth = 2 * np.pi * float(reach.mean())
        result = [Patch("side", side, grid_normals(side, closed_u=True), angle / (2 * np.pi) * girth, length)]
        for part, up in (("top", 1.0), ("bottom", -1.0)):
            share = np.linspace(1.0, 0.0, 12)
            level = np.full(12, self.height if up > 0 else 0.0)
            cap = self._ring(angle, (reach - bevel)[None, :] * share[:, None], level)
            # u x v must point outwards: the upper lid runs from its rim inwards, the lower one outwards.
            cap = cap if up > 0 else cap[::-1]
            normals = np.broadcast_to([0.0, 0.0, up], cap.shape)
            across = np.linspace(0.0, float(reach.mean()), 12)
            result.append(Patch(part, cap, normals, angle / (2 * np.pi) * girth, across))
        return result

    def _ring(self, angle: ndarray, reach: ndarray, z: ndarray) -> Float[ndarray, "V U 3"]:
        share = (z / self.height)[:, None]
        turned = angle[None, :] + np.radians(self.twist) * share
        reach = reach * (1 + (self.taper - 1) * share)
        heights = np.broadcast_to(z[:, None], turned.shape)
        return np.stack([reach * np.cos(turned), reach * np.sin(turned), heights], axis=-1)


@dataclass(frozen=True)
class Ring:
    """A round bar closed to a ring, lying on z = 0 or standing on it. Part: tube."""

    radius: float = 0.04
    """Of the bar's axis in metres."""
    thickness: float = 0.008
    """Radius of the bar in metres."""
    upright: bool = False

    def patches(self, noise: Noise) -> list[Patch]:
        angle = np.linspace(0, 2 * np.pi, 121)
        flat = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=-1) * self.radius
        if self.upright:
            flat = flat[:, [0, 2, 1]]
        axis = flat + np.array([0.0, 0.0, self.thickness + (self.radius if self.upright else 0.0)])
        side = np.eye(3)[1 if self.upright else 2]
        bar = Tube.sweep(axis, np.full(len(axis), self.thickness), side)
        # One-sided differences at the seam would leave a step there; both ends are the same circle.
        bar.points[-1], bar.normals[-1] = bar.points[0], bar.normals[0]
        return [bar]


@dataclass(frozen=True)
class Scaled:
    """Another shape, larger or smaller."""

    shape: Shape
    factor: float = 1.0

    def patches(self, noise: Noise) -> list[Patch]:
        return [
            replace(
                patch, points=patch.points * self.factor, u=patch.u * self.factor, v=patch.v * self.factor
            )
            for patch in self.shape.patches(noise)
        ]


SOLIDS: dict[str, type] = {
    "superquadric": Superquadric,
    "carved": Carved,
    "extrusion": Extrusion,
    "ring": Ring,
    "scaled": Scaled,
}


def _star(distance, radii: tuple[float, float, float]) -> list[Patch]:
    """Return the six faces of a solid that every ray from its centre leaves once.

    Args:
        distance: from directions [V, U, 3] of any length to the factor that brings them onto the surface.
        radii: half axes, which spread the grid evenly over flat and long solids alike.
    """
    line = np.linspace(-1, 1, _FACE_STEPS + 1)
    padded = np.concatenate([[line[0] - 2 / _FACE_STEPS], line, [line[-1] + 2 / _FACE_STEPS]])
    warped = np.tan(padded * np.pi / 4)
    x, y, z = np.eye(3)
    grids = []
    for along_u, along_v, outward in (
        (x, y, z), (x, -y, -z), (x, z, -y), (-x, z, y), (y, z, x), (-y, z, -x),
    ):  # fmt: skip
        direction = warped[None, :, None] * along_u + warped[:, None, None] * along_v + outward
        direction = direction / np.linalg.norm(direction, axis=-1, keepdims=True) * np.array(radii)
        grids.append(direction * distance(direction)[..., None])
    floor = min(float(grid[..., 2].min()) for grid in grids)
    length = (line + 1) * float(np.mean(radii)) * np.pi / 4
    return [
        Patch("body", (grid - [0, 0, floor])[1:-1, 1:-1], grid_normals(grid)[1:-1, 1:-1], length, length)
        for grid in grids
    ]


def _superquadric_distance(
    direction: Float[ndarray, "V U 3"], radii: tuple[float, float, float], roundness: tuple[float, float]
) -> Float[ndarray, "V U"]:
    """Return the factor that brings directions onto a superquadric.

    Source: Barr 1981, Superquadrics and Angle-Preserving Transformations: its inside-outside function.
    """
    upward, around = roundness
    a, b, c = (np.abs(direction[..., axis]) / radii[axis] for axis in range(3))
    level = (a ** (2 / around) + b ** (2 / around)) ** (around / upward) + c ** (2 / upward)
    return np.maximum(level, 1e-12) ** (-upward / 2)


def _directions(random: np.random.Generator, count: int) -> Float[ndarray, "N 3"]:
    """Return unit vectors that do not point down, where the solid stands."""
    vectors = random.standard_normal((count, 3))
    vectors[:, 2] = np.abs(vectors[:, 2]) * 0.9
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _outline(kind: str, angle: ndarray, corners: int, depth: float) -> ndarray:
    """Return the distance from the axis to an outline, at most 1."""
    phase = angle * corners / (2 * np.pi)
    wave = 2 * np.abs(phase - np.floor(phase + 0.5))  # 0 at corners, 1 between them
    if kind == "gear":
        tooth = np.clip((0.5 - wave) / 0.12 + 0.5, 0, 1)
        return 1 - depth * (1 - tooth * tooth * (3 - 2 * tooth))
    if kind == "star":
        half = np.pi / corners  # straight edges from points at distance 1 to notches at distance 1 - depth
        past = half * wave
        return (1 - depth) * np.sin(half) / (np.sin(past) + (1 - depth) * np.sin(half - past))
    if kind == "lobes":
        return 1 - depth * (0.5 - 0.5 * np.cos(np.pi * wave))
    if kind == "cross":
        arm = np.clip(0.5 - 0.5 * depth, 0.15, 0.6)
        x, y = np.abs(np.cos(angle)), np.abs(np.sin(angle))
        larger, smaller = np.maximum(x, y), np.minimum(x, y)
        inside = smaller / larger < arm
        return np.where(inside, 1 / larger, arm / np.maximum(smaller, 1e-9)) / np.hypot(1, arm)
    apart = (phase - np.floor(phase + 0.5)) * 2 * np.pi / corners
    return np.cos(np.pi / corners) / np.cos(np.pi / corners - np.abs(apart))
