"""A tiny numpy ray caster: textured rectangles, boxes and spheres with exact depth, for tests.

Surfaces are Lambertian under one fixed light, so a surface point has the same colour in every view. A view of
96x72 takes a tenth of a second and needs nothing but numpy.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, get_args

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from recon.errors import ReconError
from recon.scene import Camera, Pixels, Scene, View, look_at

SceneName = Literal["box_room", "object", "wall"]


class RaycastScene(NamedTuple):
    """A scene and its truth.

    Attributes:
        scene: every view carries its picture, and a mask where the scene is an object on an empty background.
        depths: by view name, [H, W] float32 z-depth through the pixel centres; 0 where a ray hits nothing.
    """

    scene: Scene
    depths: dict[str, Float[ndarray, "H W"]]


def raycast_scene(
    name: SceneName = "box_room",
    *,
    views: int | Sequence[Camera] = 5,
    test_views: int = 0,
    size: tuple[int, int] = (96, 72),
    seed: int = 0,
    time: float = 0.0,
    supersampling: int = 3,
) -> RaycastScene:
    """Render one of the built-in scenes from cameras on a gentle arc.

    Args:
        name: "box_room" is a room corner with boxes and a sphere, filling every pixel; "object" is the same
            group on a black background with masks, seen from all around; "wall" is one fronto-parallel plane
            at depth 4.
        views: how many input views `view_00.png` ..., spread evenly over the arc, or the cameras themselves.
        test_views: how many held-out views `test_00.png` ..., between the input views.
        size: (width, height) of the pictures in pixels.
        seed: chooses the textures; geometry and cameras are the same for every seed.
        time: in [0, 1]; the sphere rolls and one box turns with it, everything else stands still.
        supersampling: colour is the mean over this many by this many rays per pixel.

    Raises:
        ReconError: when the name is not a built-in scene or a count or size is not positive.
    """
    if name not in get_args(SceneName):
        raise ReconError(
            f"there is no ray-cast scene {name!r}; choose one of {', '.join(get_args(SceneName))}"
        )
    if min(size) < 1 or supersampling < 1:
        raise ReconError(
            f"a ray-cast picture needs a positive size and supersampling, got {size} and {supersampling}"
        )
    if isinstance(views, int):
        cameras = arc_cameras(name, views, size)
    else:
        cameras = list(views)
    held_out = arc_cameras(name, test_views, size, held_out=True) if test_views else []
    shapes = build_shapes(name, seed=seed, time=time, pixel_angle=1.0 / (_FOCAL_PER_WIDTH * size[0]))
    rendered: list[View] = []
    depths: dict[str, ndarray] = {}
    for prefix, group in (("view", cameras), ("test", held_out)):
        for index, camera in enumerate(group):
            view_name = f"{prefix}_{index:02d}.png"
            cast = raycast(shapes, camera, supersampling=supersampling)
            mask = cast.shape_index >= 0 if name == "object" else None
            rendered.append(View(view_name, camera, _constant(Pixels(cast.image, mask))))
            depths[view_name] = cast.depth
    rendered.sort(key=lambda view: view.name)
    near_far = [depth[depth > 0] for depth in depths.values() if (depth > 0).any()]
    scene = Scene(
        name=name,
        views=tuple(rendered),
        train=tuple(f"view_{index:02d}.png" for index in range(len(cameras))),
        test=tuple(f"test_{index:02d}.png" for index in range(len(held_out))),
        bounds=(float(min(d.min() for d in near_far)), float(max(d.max() for d in near_far)))
        if near_far
        else None,
        background=(0.0, 0.0, 0.0) if name == "object" else None,
    )
    return RaycastScene(scene, depths)


@dataclass(frozen=True, eq=False)
class Raycast:
    """One rendered view.

    Attributes:
        image: [H, W, 3] float32 sRGB in [0, 1], black where nothing is hit.
        depth: [H, W] float32 z-depth through the pixel centres, 0 where nothing is hit.
        normal: [H, W, 3] float32 unit normals in camera axes, facing the camera; 0 where nothing is hit.
        shape_index: [H, W] index into the shapes, -1 where nothing is hit.
    """

    image: Float[ndarray, "H W 3"]
    depth: Float[ndarray, "H W"]
    normal: Float[ndarray, "H W 3"]
    shape_index: Int[ndarray, "H W"]


def raycast(shapes: Sequence["Shape"], camera: Camera, *, supersampling: int = 3) -> Raycast:
    """Render shapes from a camera: colour averaged over a pixel's area, depth and normal at its centre."""
    height, width = camera.height, camera.width
    offsets = (np.arange(supersampling) + 0.5) / supersampling - 0.5
    linear = np.zeros((height * width, 3))
    for dy in offsets:
        for dx in offsets:
            linear += _shade(shapes, camera, dx, dy)
    linear /= supersampling**2
    depth, index, normal = _trace(shapes, camera, 0.0, 0.0)
    normal = normal @ camera.world_to_camera[:3, :3].T
    return Raycast(
        image=_linear_to_srgb(linear).reshape(height, width, 3).astype(np.float32),
        depth=np.where(index >= 0, depth, 0.0).reshape(height, width).astype(np.float32),
        normal=normal.reshape(height, width, 3).astype(np.float32),
        shape_index=index.reshape(height, width),
    )


# --- shapes ---------------------------------------------------------------------------------------


class Shape(Protocol):
    """A surface that rays can hit."""

    @property
    def texture(self) -> "SolidTexture":
        """Its linear albedo as a function of local points."""

    def intersect(self, origin: ndarray, directions: ndarray) -> tuple[ndarray, ndarray]:
        """Return [N] the first positive ray parameter (inf for a miss) and [N, 3] outward unit normals."""

    def to_local(self, points: ndarray) -> ndarray:
        """Return points in the frame that moves with the shape, in which its texture stands still."""


@dataclass(frozen=True, eq=False)
class Rectangle:
    """A flat parallelogram: corner + u * edge_u + v * edge_v with u, v in [0, 1]."""

    corner: Float[ndarray, " 3"]
    edge_u: Float[ndarray, " 3"]
    edge_v: Float[ndarray, " 3"]
    texture: "SolidTexture"

    def intersect(self, origin: ndarray, directions: ndarray) -> tuple[ndarray, ndarray]:
        normal = np.cross(self.edge_u, self.edge_v)
        normal = normal / np.linalg.norm(normal)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (np.asarray(self.corner) - origin) @ normal / (directions @ normal)
            offset = origin + t[:, None] * directions - self.corner
            gram = np.array(
                [
                    [np.dot(self.edge_u, self.edge_u), np.dot(self.edge_u, self.edge_v)],
                    [np.dot(self.edge_u, self.edge_v), np.dot(self.edge_v, self.edge_v)],
                ]
            )
            uv = np.stack([offset @ self.edge_u, offset @ self.edge_v], axis=-1) @ np.linalg.inv(gram)
            hit = (t > 1e-6) & np.isfinite(t) & ((uv >= 0) & (uv <= 1)).all(axis=-1)
        return np.where(hit, t, np.inf), np.broadcast_to(normal, directions.shape)

    def to_local(self, points: ndarray) -> ndarray:
        return points


@dataclass(frozen=True, eq=False)
class Box:
    """A box of half sizes `half` around `center`, turned by `yaw` radians about the vertical (z) axis."""

    center: Float[ndarray, " 3"]
    half: Float[ndarray, " 3"]
    yaw: float
    texture: "SolidTexture"

    def intersect(self, origin: ndarray, directions: ndarray) -> tuple[ndarray, ndarray]:
        rotation = _yaw_matrix(self.yaw)
        local_origin = (origin - self.center) @ rotation
        local = directions @ rotation
        with np.errstate(divide="ignore", invalid="ignore"):
            first = (-np.asarray(self.half) - local_origin) / local
            second = (np.asarray(self.half) - local_origin) / local
        entry_by_axis = np.minimum(first, second)
        entry = np.nanmax(entry_by_axis, axis=-1)
        leave = np.nanmin(np.maximum(first, second), axis=-1)
        hit = (entry > 1e-6) & (entry <= leave)
        axis = np.nanargmax(entry_by_axis, axis=-1)
        normal = np.zeros_like(local)
        rows = np.arange(len(local))
        normal[rows, axis] = -np.sign(local[rows, axis])
        return np.where(hit, entry, np.inf), normal @ rotation.T

    def to_local(self, points: ndarray) -> ndarray:
        return (points - self.center) @ _yaw_matrix(self.yaw)


@dataclass(frozen=True, eq=False)
class Sphere:
    """A sphere that has rolled by `roll` radians about the y axis."""

    center: Float[ndarray, " 3"]
    radius: float
    texture: "SolidTexture"
    roll: float = 0.0

    def intersect(self, origin: ndarray, directions: ndarray) -> tuple[ndarray, ndarray]:
        offset = origin - self.center
        a = (directions**2).sum(axis=-1)
        b = directions @ offset
        discriminant = b**2 - a * (offset @ offset - self.radius**2)
        t = (-b - np.sqrt(np.maximum(discriminant, 0.0))) / a
        hit = (discriminant > 0) & (t > 1e-6)
        normal = (offset + t[:, None] * directions) / self.radius
        return np.where(hit, t, np.inf), normal

    def to_local(self, points: ndarray) -> ndarray:
        c, s = np.cos(self.roll), np.sin(self.roll)
        return (points - self.center) @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


@dataclass(frozen=True, eq=False)
class SolidTexture:
    """Band-limited random colour in space: a sum of random plane waves around a base colour.

    Attributes:
        base: [3] linear albedo around which the colour varies.
        frequencies: [K, 3] radians per scene unit.
        phases: [K] radians.
        amplitudes: [K, 3] per colour channel.
    """

    base: Float[ndarray, " 3"]
    frequencies: Float[ndarray, "K 3"]
    phases: Float[ndarray, " K"]
    amplitudes: Float[ndarray, "K 3"]

    @classmethod
    def random(cls, rng: np.random.Generator, finest_wavelength: float, waves: int = 28) -> "SolidTexture":
        """Return a texture whose wavelengths spread from the finest to sixteen times that (four octaves)."""
        directions = rng.normal(size=(waves, 3))
        directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
        octave = np.linspace(0.0, 4.0, waves)
        wavelengths = finest_wavelength * 2.0**octave
        tint = rng.normal(size=(waves, 3)) * 0.45 + 1.0  # mostly brightness, some hue, as in photos
        amplitude = (0.5 + 0.2 * octave)[:, None] * tint / np.sqrt(waves)
        return cls(
            base=rng.uniform(0.25, 0.6, 3),
            frequencies=2 * np.pi * directions / wavelengths[:, None],
            phases=rng.uniform(0, 2 * np.pi, waves),
            amplitudes=amplitude,
        )

    def __call__(self, points: Float[ndarray, "N 3"]) -> Float[ndarray, "N 3"]:
        """Return linear albedo in (0.02, 0.98) at points."""
        waves = np.sin(points @ self.frequencies.T + self.phases) @ self.amplitudes
        logit = np.log(self.base / (1 - self.base)) + 1.3 * waves
        return 0.02 + 0.96 / (1 + np.exp(-logit))


# --- the built-in scenes --------------------------------------------------------------------------

# A horizontal field of view of 51 degrees, that of a phone's main camera held upright.
_FOCAL_PER_WIDTH = 1.05
_TYPICAL_DISTANCE = 4.0  # scene units between the cameras and the middle of every built-in scene
_FINEST_WAVELENGTH_PIXELS = 4.0  # twice the Nyquist limit: detail that survives perspective and resampling
_LIGHT = np.array([-0.35, -0.65, 0.67]) / np.linalg.norm([-0.35, -0.65, 0.67])
_AMBIENT = 0.45


def build_shapes(
    name: SceneName, *, seed: int = 0, time: float = 0.0, pixel_angle: float = 0.01
) -> list[Shape]:
    """Return the shapes of a built-in scene, world z up.

    Args:
        pixel_angle: size of a pixel in radians; the finest texture wavelength covers four pixels in the
            scene's middle.
    """
    count = 0

    def texture() -> SolidTexture:
        nonlocal count
        count += 1
        rng = np.random.default_rng([seed, count])
        return SolidTexture.random(rng, _FINEST_WAVELENGTH_PIXELS * pixel_angle * _TYPICAL_DISTANCE)

    if name == "wall":
        corner = np.array([-6.0, 0.0, -6.0])
        return [Rectangle(corner, np.array([12.0, 0, 0]), np.array([0, 0, 12.0]), texture())]
    group: list[Shape] = [
        Box(np.array([-0.75, 0.3, 0.45]), np.array([0.35, 0.35, 0.45]), 0.5 + 0.6 * time, texture()),
        Box(np.array([0.65, 0.55, 0.3]), np.array([0.45, 0.3, 0.3]), -0.35, texture()),
        Sphere(np.array([0.05 + 0.5 * time, -0.35, 0.35]), 0.35, texture(), roll=0.5 * time / 0.35),
        Box(np.array([0.6, 0.55, 0.8]), np.array([0.2, 0.2, 0.2]), 0.8, texture()),
    ]
    if name == "object":
        return [*group, Box(np.array([0.0, 0.1, -0.1]), np.array([1.2, 0.95, 0.1]), 0.0, texture())]
    # A room big enough that every camera of the arc sees walls or floor in every pixel.
    floor = Rectangle(np.array([-8.0, -6.0, 0]), np.array([16.0, 0, 0]), np.array([0, 8.0, 0]), texture())
    back = Rectangle(np.array([-8.0, 1.6, 0]), np.array([16.0, 0, 0]), np.array([0, 0, 8.0]), texture())
    left = Rectangle(np.array([-2.0, -6.0, 0]), np.array([0, 8.0, 0]), np.array([0, 0, 8.0]), texture())
    return [*group, floor, back, left]


def arc_cameras(
    name: SceneName, count: int, size: tuple[int, int] = (96, 72), *, held_out: bool = False
) -> list[Camera]:
    """Return the cameras of a built-in scene.

    "box_room" and "wall" are seen from an arc of 30 degrees at changing heights, "object" from a full circle.
    Held-out cameras use the same path at places between those of evenly spread inputs.
    """
    if count < 1:
        raise ReconError(f"a ray-cast scene needs at least one view, got {count}")
    width, height = size
    full_circle = name == "object"
    if held_out:
        place = (np.arange(count) + 0.37) / count
    elif full_circle:
        place = np.arange(count) / count
    else:
        place = np.linspace(0.0, 1.0, count) if count > 1 else np.array([0.5])
    cameras = []
    for p in place:
        angle = 2 * np.pi * p if full_circle else np.radians(-15.0 + 30.0 * p)
        if name == "wall":
            position = np.array([4 * np.sin(angle), -4.0, 0.25 * np.cos(9 * p)])
            target = np.array([position[0], 0.0, position[2]])
        else:
            elevation = np.radians(24.0 + 5.0 * np.cos(9 * p))
            target = np.array([0.0, 0.2, 0.45])
            direction = [
                np.sin(angle) * np.cos(elevation),
                -np.cos(angle) * np.cos(elevation),
                np.sin(elevation),
            ]
            position = target + _TYPICAL_DISTANCE * np.array(direction)
        pose = look_at(position, target, np.array([0.0, 0.0, 1.0]))
        focal = _FOCAL_PER_WIDTH * width
        cameras.append(Camera(pose, focal, focal, width / 2, height / 2, width, height))
    return cameras


# --- tracing --------------------------------------------------------------------------------------


def _rays(camera: Camera, dx: float, dy: float) -> tuple[ndarray, ndarray]:
    """Return the origin and [H*W, 3] world directions scaled so that the ray parameter is the z-depth."""
    pixels = camera.pixel_centers().reshape(-1, 2) + np.array([dx, dy])
    local = np.concatenate(
        [(pixels - [camera.cx, camera.cy]) / [camera.fx, camera.fy], np.ones((len(pixels), 1))], axis=-1
    )
    return camera.center, local @ camera.world_to_camera[:3, :3]


def _trace(shapes: Sequence[Shape], camera: Camera, dx: float, dy: float) -> tuple[ndarray, ndarray, ndarray]:
    """Return per ray the nearest depth (inf: miss), the shape's index (-1), the normal facing the camera."""
    origin, directions = _rays(camera, dx, dy)
    depth = np.full(len(directions), np.inf)
    index = np.full(len(directions), -1)
    normal = np.zeros((len(directions), 3))
    for i, shape in enumerate(shapes):
        t, n = shape.intersect(origin, directions)
        nearer = t < depth
        depth[nearer], index[nearer], normal[nearer] = t[nearer], i, n[nearer]
    away = (normal * directions).sum(axis=-1) > 0
    normal[away] *= -1
    return depth, index, normal


def _shade(shapes: Sequence[Shape], camera: Camera, dx: float, dy: float) -> ndarray:
    """Return [H*W, 3] linear colour of one ray per pixel."""
    origin, directions = _rays(camera, dx, dy)
    depth, index, normal = _trace(shapes, camera, dx, dy)
    color = np.zeros_like(directions)
    light = _AMBIENT + (1 - _AMBIENT) * np.maximum(normal @ _LIGHT, 0.0)
    for i, shape in enumerate(shapes):
        hit = index == i
        points = origin + depth[hit, None] * directions[hit]
        color[hit] = shape.texture(shape.to_local(points)) * light[hit, None]
    return color


def _linear_to_srgb(linear: ndarray) -> ndarray:
    linear = np.clip(linear, 0.0, 1.0)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _yaw_matrix(yaw: float) -> ndarray:
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def _constant(pixels: Pixels) -> Callable[[], Pixels]:
    return lambda: pixels
