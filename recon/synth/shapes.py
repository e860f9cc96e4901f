"""Procedural solids, each a set of patches: rectangular grids of points with normals and lengths in metres.

World and object axes: z up. A patch's rows run along v and its columns along u, with u x v along the normal, so a
picture drawn with u to the right and v upwards is read correctly from outside.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.interpolate import PchipInterpolator

from recon.synth.noise import Noise


@dataclass(frozen=True, eq=False)
class Patch:
    """A curved rectangle.

    Attributes:
        part: names the material of the recipe's object that covers it.
        points: [V, U, 3] positions in metres, object axes.
        normals: [V, U, 3] unit, outward.
        u: [U] nominal length in metres along the columns, from 0.
        v: [V] nominal length in metres along the rows, from 0.
    """

    part: str
    points: Float[ndarray, "V U 3"]
    normals: Float[ndarray, "V U 3"]
    u: Float[ndarray, " U"]
    v: Float[ndarray, " V"]

    def placed(self, offset: Float[ndarray, " 3"], part: str | None = None) -> "Patch":
        return Patch(part or self.part, self.points + np.asarray(offset), self.normals, self.u, self.v)


class Shape(Protocol):
    """What a recipe may name under `shape`; the fields are its settings."""

    def patches(self, noise: Noise) -> list[Patch]:
        """Return the surface in object axes."""


@dataclass(frozen=True)
class Plane:
    """A flat rectangle in the object's x-y plane, facing +z, centred on the origin."""

    size: tuple[float, float] = (1.0, 1.0)
    """Extent along x and y in metres."""

    def patches(self, noise: Noise) -> list[Patch]:
        x = np.linspace(0, self.size[0], 2)
        y = np.linspace(0, self.size[1], 2)
        points = _grid(x - self.size[0] / 2, y - self.size[1] / 2, 0.0)
        return [Patch("plane", points, np.broadcast_to([0.0, 0.0, 1.0], points.shape), x, y)]


@dataclass(frozen=True)
class Slab:
    """A box with rounded edges that stands on z = 0. Parts: top, bottom, front (-y), back, right (+x), left."""

    size: tuple[float, float, float] = (0.2, 0.2, 0.2)
    """Extent along x, y and z in metres."""
    bevel: float = 0.003
    """Radius of the edges in metres."""
    bottom: bool = True
    """Whether there is a face below; nobody sees that of a table."""

    def patches(self, noise: Noise) -> list[Patch]:
        half = np.array(self.size) / 2
        radius = min(self.bevel, float(half.min()) * 0.99)
        x, y, z = np.eye(3)
        faces = {
            "top": (x, y, z),
            "bottom": (x, -y, -z),
            "front": (x, z, -y),
            "back": (-x, z, y),
            "right": (y, z, x),
            "left": (-y, z, -x),
        }
        if not self.bottom:
            del faces["bottom"]
        result = []
        for part, (along_u, along_v, outward) in faces.items():
            a = _bevel_lines(float(np.abs(half @ along_u)), radius)
            b = _bevel_lines(float(np.abs(half @ along_v)), radius)
            flat = a[None, :, None] * along_u + b[:, None, None] * along_v + np.abs(half @ outward) * outward
            core = np.clip(flat, -(half - radius), half - radius)
            normals = (flat - core) / np.linalg.norm(flat - core, axis=-1, keepdims=True)
            points = core + radius * normals + [0, 0, half[2]]
            result.append(Patch(part, points, normals, a - a[0], b - b[0]))
        return result


@dataclass(frozen=True)
class Lathe:
    """A surface of revolution about z; an open vessel's profile goes up outside, over the lip and down inside."""

    profile: tuple[tuple[float, float], ...] = ((0.0, 0.0), (0.05, 0.0), (0.05, 0.1), (0.0, 0.1))
    """Points (radius, height) in metres, joined by a smooth curve."""
    wobble: float = 0.0
    """Relative unevenness of the radius, as in hand-made pottery."""

    def patches(self, noise: Noise) -> list[Patch]:
        control = np.array(self.profile, dtype=np.float64)
        radius, height, length = _smooth_curve(control, 220)
        angle = np.linspace(0, 2 * np.pi, 181)
        ring = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=-1)
        points = radius[:, None, None] * ring + height[:, None, None] * np.array([0.0, 0.0, 1.0])
        if self.wobble > 0:
            scale = 1 + self.wobble * noise.fractal(points, 0.15, 0.04)[..., None]
            scale[:, -1] = scale[:, 0]
            points = points * np.concatenate([scale, scale, np.ones_like(scale)], axis=-1)
        normals = grid_normals(points, closed_u=True)
        girth = 2 * np.pi * max(float(radius.max()) * 0.8, 1e-3)
        return [Patch("body", points, normals, angle / (2 * np.pi) * girth, length)]


@dataclass(frozen=True)
class Mug:
    """A cup with a handle on the +x side. Parts: body, handle."""

    radius: float = 0.042
    height: float = 0.095
    wall: float = 0.004
    """Thickness in metres."""

    def patches(self, noise: Noise) -> list[Patch]:
        r, h, w = self.radius, self.height, self.wall
        profile = (
            (0.0, 0.0), (r * 0.8, 0.0), (r * 0.94, h * 0.03), (r, h * 0.12), (r, h * 0.6), (r * 1.01, h * 0.985),
            (r * 1.01 - w / 2, h), (r - w, h * 0.985), (r - w, h * 0.5), (r - w, h * 0.12), (r * 0.8, h * 0.06),
            (0.0, h * 0.05),
        )  # fmt: skip
        body = Lathe(profile).patches(noise)
        angle = np.linspace(-0.5 * np.pi, 0.5 * np.pi, 48)
        curve = np.stack(
            [r * 0.97 + 0.62 * r * np.cos(angle), np.zeros(48), h * (0.52 + 0.31 * np.sin(angle))], -1
        )
        handle = Tube.sweep(curve, np.full(48, 0.0055), np.array([0.0, 1.0, 0.0]))
        return [*body, Patch("handle", handle.points, handle.normals, handle.u, handle.v)]


@dataclass(frozen=True)
class Tube:
    """A round bar along a smooth curve. Part: tube."""

    curve: tuple[tuple[float, float, float], ...] = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.1))
    """Points in metres that the axis runs through."""
    radius: float = 0.005

    def patches(self, noise: Noise) -> list[Patch]:
        control = np.array(self.curve, dtype=np.float64)
        knots = np.linspace(0, 1, len(control))
        fine = np.linspace(0, 1, 24 * (len(control) - 1) + 1)
        axis = np.stack([PchipInterpolator(knots, control[:, i])(fine) for i in range(3)], axis=-1)
        direction = axis[-1] - axis[0]
        side = np.eye(3)[int(np.argmin(np.abs(direction)))]
        return [self.sweep(axis, np.full(len(axis), self.radius), side)]

    @staticmethod
    def sweep(axis: Float[ndarray, "N 3"], radius: Float[ndarray, " N"], side: Float[ndarray, " 3"]) -> Patch:
        """Return a tube around a curve that stays roughly perpendicular to `side`."""
        tangent = np.gradient(axis, axis=0)
        tangent /= np.linalg.norm(tangent, axis=-1, keepdims=True)
        second = np.cross(tangent, side)
        second /= np.linalg.norm(second, axis=-1, keepdims=True)
        first = np.cross(second, tangent)
        angle = np.linspace(0, 2 * np.pi, 33)
        ring = first[:, None] * np.cos(angle)[:, None] + second[:, None] * -np.sin(angle)[:, None]
        if np.dot(np.cross(ring[0, 1] - ring[0, 0], tangent[0]), ring[0, 0]) < 0:
            ring = first[:, None] * np.cos(angle)[:, None] + second[:, None] * np.sin(angle)[:, None]
        points = axis[:, None] + radius[:, None, None] * ring
        step = np.linalg.norm(np.diff(axis, axis=0), axis=-1)
        length = np.concatenate([[0.0], np.cumsum(step)])
        return Patch("tube", points, ring, angle * float(radius.max()), length)


@dataclass(frozen=True)
class Rock:
    """A ball or pebble displaced by noise, resting on z = 0. Part: body."""

    radii: tuple[float, float, float] = (0.06, 0.05, 0.04)
    """Half axes in metres."""
    roughness: float = 0.12
    """Size of the displacement relative to the radius; 0 gives a smooth ellipsoid."""
    facets: float = 0.0
    """In [0, 1]: how far the surface is flattened towards random planes, as in broken stone."""

    def patches(self, noise: Noise) -> list[Patch]:
        steps = 72
        line = np.linspace(-1, 1, steps + 1)
        padded = np.concatenate([[line[0] - 2 / steps], line, [line[-1] + 2 / steps]])
        radii = np.array(self.radii)
        planes = noise.random.standard_normal((14, 3))
        planes /= np.linalg.norm(planes, axis=-1, keepdims=True)
        cuts = noise.random.uniform(0.72, 0.95, 14)
        state = noise.random.bit_generator.state
        x, y, z = np.eye(3)
        faces = [(x, y, z), (x, -y, -z), (x, z, -y), (-x, z, y), (y, z, x), (-y, z, -x)]
        grids = []
        for along_u, along_v, outward in faces:
            warped = np.tan(padded * np.pi / 4)
            direction = warped[None, :, None] * along_u + warped[:, None, None] * along_v + outward
            direction = direction / np.linalg.norm(direction, axis=-1, keepdims=True)
            with np.errstate(divide="ignore"):
                cut = np.where(direction @ planes.T > 0.05, cuts / (direction @ planes.T), np.inf).min(
                    axis=-1
                )
            radius = 1 + self.facets * (np.minimum(cut, 1.0) - 1)
            if self.roughness > 0:
                noise.random.bit_generator.state = state  # the same function of direction on all six faces
                radius = radius * (1 + self.roughness * 0.5 * noise.fractal(direction, 1.6, 0.12, gain=0.5))
            grids.append(direction * radius[..., None] * radii)
        floor = min(float(grid[..., 2].min()) for grid in grids)
        length = (line + 1) * float(radii.mean()) * np.pi / 4
        return [
            Patch("body", (grid - [0, 0, floor])[1:-1, 1:-1], grid_normals(grid)[1:-1, 1:-1], length, length)
            for grid in grids
        ]


@dataclass(frozen=True)
class Book:
    """A closed hardcover lying on z = 0, spine at -x. Parts: cover, back, spine, pages."""

    size: tuple[float, float, float] = (0.15, 0.21, 0.03)
    """Width, height of the page and thickness in metres."""

    def patches(self, noise: Noise) -> list[Patch]:
        width, height, thick = self.size
        board = 0.0028
        pages = Slab((width - 0.006, height - 0.008, thick - 2 * board), 0.0006).patches(noise)
        cover = Slab((width, height, board), 0.0012).patches(noise)
        spine = Slab((board, height, thick - 2 * board), 0.0008).patches(noise)
        return [
            *(p.placed(np.array([-0.002, 0, board]), "pages") for p in pages),
            *(
                p.placed(np.array([0, 0, thick - board]), "cover" if p.part == "top" else "back")
                for p in cover
            ),
            *(p.placed(np.array([0, 0, 0]), "back") for p in cover),
            *(
                p.placed(
                    np.array([-width / 2 + board / 2, 0, board]), "spine" if p.part == "left" else "back"
                )
                for p in spine
            ),
        ]


@dataclass(frozen=True)
class FramedPicture:
    """A picture in a frame, in the x-z plane facing -y, centred on the origin. Parts: frame, picture."""

    size: tuple[float, float] = (0.5, 0.4)
    """Outer width and height in metres."""
    border: float = 0.03
    depth: float = 0.02

    def patches(self, noise: Noise) -> list[Patch]:
        (width, height), border, depth = self.size, self.border, self.depth
        result = []
        for sign in (-1, 1):
            bar = Slab((width, depth, border), 0.004).patches(noise)
            z = sign * (height - border) / 2 - border / 2
            result += [p.placed(np.array([0, 0, z]), "frame") for p in bar]
            post = Slab((border, depth, height - 2 * border), 0.004).patches(noise)
            x = sign * (width - border) / 2
            result += [p.placed(np.array([x, 0, -height / 2 + border]), "frame") for p in post]
        u = np.linspace(0, width - 2 * border, 2)
        v = np.linspace(0, height - 2 * border, 2)
        flat = _grid(u - u[-1] / 2, v - v[-1] / 2, 0.0)
        points = np.stack([flat[..., 0], np.full(flat.shape[:2], -depth * 0.1), flat[..., 1]], axis=-1)
        result.append(Patch("picture", points, np.broadcast_to([0.0, -1.0, 0.0], points.shape), u, v))
        return result


@dataclass(frozen=True)
class Cloth:
    """A wrinkled cloth lying just above z = 0. Part: cloth."""

    size: tuple[float, float] = (0.5, 0.3)
    wrinkles: float = 0.006
    """Height of the folds in metres."""

    def patches(self, noise: Noise) -> list[Patch]:
        x = np.linspace(0, self.size[0], 160)
        y = np.linspace(0, self.size[1], 120)
        points = _grid(x - self.size[0] / 2, y - self.size[1] / 2, 0.0)
        stretched = points * [1.0, 0.35, 1.0]
        folds = noise.fractal(stretched, 0.22, 0.05, gain=0.5)
        points[..., 2] = 0.0015 + self.wrinkles * np.logaddexp(0.0, 2.0 * folds - 1.2) / 2.0
        points[..., :2] += 0.004 * np.stack([noise.smooth(points, 0.2), noise.smooth(points, 0.2)], axis=-1)
        return [Patch("cloth", points, grid_normals(points), x, y)]


@dataclass(frozen=True)
class Plant:
    """A tuft of arching leaves growing from the origin. Parts: leaf, stem."""

    leaves: int = 18
    length: float = 0.2
    """Length of a leaf with its stem in metres."""
    width: float = 0.05

    def patches(self, noise: Noise) -> list[Patch]:
        result = []
        for index in range(self.leaves):
            golden = index * 2.399963 + noise.random.uniform(
                -0.25, 0.25
            )  # golden angle: leaves fill the circle
            rise = np.radians(np.interp(index, [0, self.leaves - 1], [28, 78]) + noise.random.uniform(-6, 6))
            size = self.length * noise.random.uniform(0.75, 1.1)
            result += _leaf(golden, rise, size, self.width * noise.random.uniform(0.8, 1.15), noise)
        return result


def _leaf(azimuth: float, rise: float, length: float, width: float, noise: Noise) -> list[Patch]:
    """Return a blade with a folded midrib on a thin stem, drooping towards its tip."""
    t = np.linspace(0, 1, 60)
    droop = noise.random.uniform(0.9, 1.5)
    slope = rise - droop * t**1.6
    step = length / (len(t) - 1)
    out = np.concatenate([[0.0], np.cumsum(np.cos(slope[:-1]) * step)])
    up = np.concatenate([[0.0], np.cumsum(np.sin(slope[:-1]) * step)])
    outward = np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
    axis = out[:, None] * outward + up[:, None] * np.array([0.0, 0.0, 1.0])
    side = np.array([np.sin(azimuth), -np.cos(azimuth), 0.0])  # to the right when looking along the leaf
    start = 0.32  # the blade begins after a third of stem
    blade = t >= start
    s = (t[blade] - start) / (1 - start)
    half_width = 0.5 * width * np.sin(np.pi * s**0.75) ** 0.8 + 1e-4
    across = np.linspace(-1, 1, 25)
    normal = np.cross(side, np.gradient(axis, axis=0)[blade])
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    ripple = 0.06 * np.sin(9 * np.pi * s[:, None] + noise.random.uniform(0, 6)) * across[None] ** 2
    fold = 0.35 * np.abs(across)[None] + ripple
    points = (
        axis[blade][:, None]
        + (half_width[:, None] * across)[..., None] * side
        + (half_width[:, None] * fold)[..., None] * normal[:, None]
    )
    stem_end = int(blade.argmax()) + 6
    stem = Tube.sweep(axis[:stem_end], np.linspace(0.0022, 0.0014, stem_end), side)
    return [
        Patch(
            "leaf", points, grid_normals(points), (across + 1) * width / 2, (s - s[0]) * length * (1 - start)
        ),
        Patch("stem", stem.points, stem.normals, stem.u, stem.v),
    ]


def _grid(x: ndarray, y: ndarray, z: float) -> ndarray:
    grid_x, grid_y = np.meshgrid(x, y)
    return np.stack([grid_x, grid_y, np.full_like(grid_x, z)], axis=-1)


def _bevel_lines(half: float, radius: float) -> ndarray:
    """Return coordinates across a face: dense where the edges are rounded, two in the flat middle."""
    arc = half - radius + radius * np.tan(np.linspace(0, np.pi / 4, 6))
    return np.concatenate([-arc[::-1], arc]) if half > radius else np.concatenate([-arc[:0:-1], arc])


def _smooth_curve(control: ndarray, count: int) -> tuple[ndarray, ndarray, ndarray]:
    """Return radius, height and arc length along a curve without overshoot through control points."""
    chord = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(control, axis=0), axis=-1))])
    parameter = np.linspace(0, chord[-1], count)
    radius = np.maximum(PchipInterpolator(chord, control[:, 0])(parameter), 1e-5)
    height = PchipInterpolator(chord, control[:, 1])(parameter)
    steps = np.hypot(np.diff(radius), np.diff(height))
    return radius, height, np.concatenate([[0.0], np.cumsum(steps)])


def grid_normals(points: Float[ndarray, "V U 3"], closed_u: bool = False) -> Float[ndarray, "V U 3"]:
    """Return unit normals u x v of a grid by central differences."""
    if closed_u:
        wrapped = np.concatenate([points[:, -2:-1], points, points[:, 1:2]], axis=1)
        along_u = np.gradient(wrapped, axis=1)[:, 1:-1]
    else:
        along_u = np.gradient(points, axis=1)
    normals = np.cross(along_u, np.gradient(points, axis=0))
    return normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-20)


SHAPES: dict[str, type] = {
    "plane": Plane,
    "slab": Slab,
    "lathe": Lathe,
    "mug": Mug,
    "tube": Tube,
    "rock": Rock,
    "book": Book,
    "framed_picture": FramedPicture,
    "cloth": Cloth,
    "plant": Plant,
}
