"""Path-traced pictures of a recipe, and their exact depth, through mitsuba's `scalar_rgb` variant."""

import copy
import dataclasses
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation

from recon.errors import ReconError
from recon.scene import Camera
from recon.synth.environment import environment_map
from recon.synth.materials import Appearance, Fabric, Leaf, Material, Print, Surface
from recon.synth.noise import Noise
from recon.synth.recipe import Light, Placed, Recipe
from recon.synth.shapes import Patch

_LARGEST_TEXTURE = 2600  # texels along an edge: 80 MB for the largest picture of floats
_BRIGHTEST = (
    4.0  # exposed radiance at which a pixel is clipped: four times white, so only stray sparks are cut
)
_MATT = 0.6  # roughness from which on gloss is left out: it would be faint and costs time
_LENS_BLUR = 0.42  # standard deviation in pixels: a sharp lens; a box-shaped pixel alone would alias
_SHOULDER = 0.7  # exposed radiance above which highlights roll off towards white, as cameras' curves do
_NEAR = 1e-3  # metres from the camera at which rays start
_PINHOLE_AXES = np.diag([-1.0, -1.0, 1.0, 1.0])  # mitsuba's camera looks along +z with x to the left and y up


@dataclass(frozen=True, eq=False)
class Photo:
    """A rendered picture.

    Attributes:
        image: [H, W, 3] float32 sRGB in [0, 1].
        noise: standard deviation of the picture's own noise, in sRGB units of [0, 1], measured on it.
    """

    image: Float[ndarray, "H W 3"]
    noise: float


@dataclass(frozen=True, eq=False)
class Truth:
    """What a view sees through its pixel centres.

    Attributes:
        depth: [H, W] float32 z-depth in metres, 0 where nothing is seen.
        mask: [H, W] true on foreground objects.
    """

    depth: Float[ndarray, "H W"]
    mask: Bool[ndarray, "H W"]


class Renderer:
    """Renders one recipe; textures and meshes are built when first needed and kept.

    Raises:
        ReconError: when mitsuba is not installed.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._mitsuba = _load_mitsuba()
        self._static: dict[str, Any] = {}
        self._patches: dict[str, list[tuple[Patch, Any]]] = {}
        self._scene: Any = None
        self._bare_scenes: dict[tuple[frozenset[str], float], Any] = {}
        self._scene_seconds: float | None = None

    def photo(self, camera: Camera, *, seconds: float = 0.0, samples: int = 64, seed: int = 0) -> Photo:
        """Return the picture of a camera at a moment.

        Args:
            samples: light paths per pixel, in two independent halves whose difference tells the noise.
            seed: of the light paths; the recipe's seed chooses the scene.
        """
        scene = self._scene_at(seconds)
        half = max(1, samples // 2)
        integrator = self._mitsuba.load_dict(
            {"type": "path", "max_depth": self.recipe.bounces, "block_size": 32}
        )
        halves = []
        for index in range(2):
            # Stratified samples need less than half as many paths as independent ones for the same noise.
            sensor = self._sensor(camera, {"type": "multijitter", "sample_count": half})
            radiance = self._mitsuba.render(
                scene, sensor=sensor, integrator=integrator, spp=half, seed=2 * seed + index
            )
            halves.append(np.clip(self.recipe.exposure * np.array(radiance, np.float64), 0.0, _BRIGHTEST))
        difference = _develop(halves[0]) - _develop(halves[1])
        noise = float(np.sqrt(np.mean(difference**2)) / 2)
        return Photo(_develop((halves[0] + halves[1]) / 2), noise)

    def truth(self, camera: Camera, *, seconds: float = 0.0) -> Truth:
        """Return exact depth and mask, one ray through every pixel's centre."""
        everything = {placed.name for placed in self.recipe.objects}
        depth = self.depth(camera, everything, seconds=seconds)
        background = {placed.name for placed in self.recipe.objects if not placed.foreground}
        return Truth(depth, in_front(depth, self.depth(camera, background, seconds=seconds)))

    def depth(
        self, camera: Camera, objects: Collection[str], *, seconds: float = 0.0
    ) -> Float[ndarray, "H W"]:
        """Return the z-depth in metres of some of the objects as if they were alone, 0 where none is seen."""
        scene = self._bare_scene_at(frozenset(objects), seconds)
        sensor = self._sensor(camera, {"type": "stratified", "sample_count": 1, "jitter": False})
        integrator = self._mitsuba.load_dict({"type": "depth", "block_size": 32})
        # Along the ray, and from the near plane on. (Mitsuba's integrator of positions is thirty times slower.)
        length = np.array(self._mitsuba.render(scene, sensor=sensor, integrator=integrator, spp=1))[..., 0]
        aside = (camera.pixel_centers() - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
        z = length / np.sqrt(1 + (aside**2).sum(axis=-1)) + _NEAR
        return np.where(length > 0, z, 0.0).astype(np.float32)

    def _sensor(self, camera: Camera, sampler: dict[str, Any]) -> Any:
        pose = camera.camera_to_world @ _PINHOLE_AXES
        # Mitsuba knows square pixels only, by the shape of its film. The sensor is made for a film of the shape that
        # the field of view has, which then gets its real size; nothing else of the film enters the projection.
        fine = 1 << 20
        shape = camera.width / camera.fx / (camera.height / camera.fy)
        sensor = self._mitsuba.load_dict(
            {
                "type": "perspective",
                "fov_axis": "x",
                "fov": float(np.degrees(2 * np.arctan(camera.width / (2 * camera.fx)))),
                "principal_point_offset_x": 0.5 - camera.cx / camera.width,
                "principal_point_offset_y": 0.5 - camera.cy / camera.height,
                "near_clip": _NEAR,
                "far_clip": 1e4,
                "to_world": self._mitsuba.ScalarTransform4f(pose),
                "sampler": sampler,
                "film": {
                    "type": "hdrfilm",
                    "width": round(fine * shape),
                    "height": fine,
                    "rfilter": {"type": "box"},  # no pixel shares samples: sums do not depend on the threads
                    "pixel_format": "rgb",
                    "component_format": "float32",
                },
            }
        )
        film = self._mitsuba.traverse(sensor.film())
        film["size"] = [camera.width, camera.height]
        film["crop_size"] = [camera.width, camera.height]
        film.update()
        return sensor

    def relit(self, lights: Sequence[Light]) -> "Renderer":
        """Return a renderer of the same objects under other lamps; meshes and textures are shared."""
        other = copy.copy(self)
        other.recipe = dataclasses.replace(self.recipe, lights=tuple(lights))
        other._scene = None
        return other

    def _scene_at(self, seconds: float) -> Any:
        if self._scene is not None and (seconds == self._scene_seconds or self._is_still()):
            return self._scene
        content: dict[str, Any] = {"type": "scene"}
        for placed in self.recipe.objects:
            content.update(self._shapes(placed, seconds))
        for index, light in enumerate(self.recipe.lights):
            # As descriptions, lamps would join the scene in a random order, and light paths with them.
            content[f"light{index}"] = self._mitsuba.load_dict(self._light(light))
        surroundings = environment_map(self.recipe.environment.look, self.recipe.environment.strength)
        if surroundings is not None:
            upright = self._mitsuba.ScalarTransform4f().rotate([1, 0, 0], 90)
            bitmap = self._mitsuba.Bitmap(surroundings.astype(np.float32))
            content["environment"] = {"type": "envmap", "bitmap": bitmap, "to_world": upright}
        self._scene = self._mitsuba.load_dict(content)
        self._scene_seconds = seconds
        return self._scene

    def _bare_scene_at(self, names: frozenset[str], seconds: float) -> Any:
        """Return a scene of some objects without lamps."""
        key = (names, 0.0 if self._is_still() else seconds)
        if key not in self._bare_scenes:
            content: dict[str, Any] = {"type": "scene"}
            for placed in self.recipe.objects:
                if placed.name in names:
                    content.update(self._shapes(placed, seconds))
            moments = {moment for _, moment in self._bare_scenes} - {key[1]}
            if moments:  # a clip goes on by time, so earlier moments are over
                self._bare_scenes.clear()
            self._bare_scenes[key] = self._mitsuba.load_dict(content)
        return self._bare_scenes[key]

    def _is_still(self) -> bool:
        return not any(placed.motion for placed in self.recipe.objects)

    def _light(self, light: Light) -> dict[str, Any]:
        transform = self._mitsuba.ScalarTransform4f
        direction = np.subtract(light.target, light.position)
        up = [0.0, 1.0, 0.0] if abs(direction[2]) > 0.9 * np.linalg.norm(direction) else [0.0, 0.0, 1.0]
        pose = transform().look_at(origin=list(light.position), target=list(light.target), up=up)
        return {
            "type": "rectangle",
            "to_world": pose @ transform().scale([light.size[0] / 2, light.size[1] / 2, 1.0]),
            "emitter": {"type": "area", "radiance": {"type": "rgb", "value": list(light.radiance)}},
        }

    def _shapes(self, placed: Placed, seconds: float) -> dict[str, Any]:
        if placed.name in self._static:
            return self._static[placed.name]
        if placed.name not in self._patches:
            self._patches[placed.name] = self._covered_patches(placed)
        rotation, position = pose_at(placed, seconds)
        shapes = {}
        for index, (patch, bsdf) in enumerate(self._patches[placed.name]):
            name = f"{placed.name}__{index}"
            shapes[name] = self._mesh(
                name, patch.points @ rotation.T + position, patch.normals @ rotation.T, patch.u, patch.v, bsdf
            )
        if not placed.motion:
            self._static[placed.name] = shapes
        return shapes

    def _covered_patches(self, placed: Placed) -> list[tuple[Patch, Any]]:
        seed = name_seed(placed.name)
        patches = placed.shape.patches(Noise(self.recipe.seed, seed))
        parts = {patch.part for patch in patches}
        for part in placed.materials:
            if part not in parts:
                raise ReconError(
                    f"recipe {self.recipe.name}: object {placed.name} has no part {part!r}; "
                    f"its parts are {', '.join(sorted(parts))}"
                )
        covered = []
        for index, patch in enumerate(patches):
            material = placed.materials.get(patch.part, placed.material)
            # Patches of one part share the seed: a solid material then continues across their edges.
            noise = Noise(self.recipe.seed, seed, name_seed(patch.part), 0 if _is_solid(material) else index)
            appearance = material.appearance(surface_of(patch, placed.texel), noise)
            covered.append((patch, self._bsdf(appearance)))
        return covered

    def _bsdf(self, appearance: Appearance) -> Any:
        mitsuba = self._mitsuba
        color = {
            "type": "bitmap",
            "bitmap": mitsuba.Bitmap(np.ascontiguousarray(appearance.albedo, np.float32)),
            "wrap_mode": "clamp",
        }
        bsdf: dict[str, Any] = {"type": "diffuse", "reflectance": color}
        alpha = max(appearance.roughness, 0.05) ** 2
        if appearance.metal:
            bsdf = {
                "type": "roughconductor",
                "material": "none",
                "alpha": alpha,
                "specular_reflectance": color,
            }
        elif appearance.roughness < _MATT:
            bsdf = {"type": "roughplastic", "alpha": alpha, "diffuse_reflectance": color}
        if appearance.height is not None:
            relief = np.ascontiguousarray(appearance.height[..., None], np.float32)
            texture = {"type": "bitmap", "bitmap": mitsuba.Bitmap(relief), "raw": True, "wrap_mode": "clamp"}
            bsdf = {"type": "bumpmap", "relief": texture, "scale": 1.0, "bsdf": bsdf}
        return mitsuba.load_dict({"type": "twosided", "bsdf": bsdf})

    def _mesh(self, name: str, points: ndarray, normals: ndarray, u: ndarray, v: ndarray, bsdf: Any) -> Any:
        rows, columns = points.shape[:2]
        properties = self._mitsuba.Properties()
        properties["mesh_bsdf"] = bsdf
        mesh = self._mitsuba.Mesh(
            name,
            rows * columns,
            2 * (rows - 1) * (columns - 1),
            has_vertex_normals=True,
            has_vertex_texcoords=True,
            props=properties,
        )
        texture_u, texture_v = np.meshgrid(u / u[-1], v / v[-1])
        corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
        lower = np.stack([corner, corner + 1, corner + columns + 1], axis=-1)
        upper = np.stack([corner, corner + columns + 1, corner + columns], axis=-1)
        parameters = self._mitsuba.traverse(mesh)
        parameters["vertex_positions"] = points.astype(np.float32).ravel()
        parameters["vertex_normals"] = normals.astype(np.float32).ravel()
        parameters["vertex_texcoords"] = np.stack([texture_u, texture_v], axis=-1).astype(np.float32).ravel()
        parameters["faces"] = np.stack([lower, upper], axis=1).astype(np.uint32).ravel()
        parameters.update()
        return mesh


def in_front(depth: Float[ndarray, "H W"], behind: Float[ndarray, "H W"]) -> Bool[ndarray, "H W"]:
    """Tell where a depth is seen that is nearer than another one, by more than rounding."""
    return (depth > 0) & ((behind == 0) | (depth < behind * (1 - 1e-5)))


def pose_at(placed: Placed, seconds: float) -> tuple[Float[ndarray, "3 3"], Float[ndarray, " 3"]]:
    """Return an object's rotation matrix and position at a moment; it rests before and after its motion."""
    position, rotation = np.array(placed.position), np.array(placed.rotation)
    if len(placed.motion) == 1:
        position, rotation = np.array(placed.motion[0].position), np.array(placed.motion[0].rotation)
    elif placed.motion:
        moments = np.array([keyframe.seconds for keyframe in placed.motion])
        values = np.array([[*keyframe.position, *keyframe.rotation] for keyframe in placed.motion])
        now = PchipInterpolator(moments, values, axis=0)(np.clip(seconds, moments[0], moments[-1]))
        position, rotation = now[:3], now[3:]
    return rotation_of(rotation), position


def rotation_of(degrees: Sequence[float] | ndarray) -> Float[ndarray, "3 3"]:
    """Return the rotation about x, then y, then z."""
    return Rotation.from_euler("xyz", np.asarray(degrees), degrees=True).as_matrix()


def surface_of(patch: Patch, texel: float) -> Surface:
    """Return the places of a patch's texels; large patches get coarser texels."""
    width, height = float(patch.u[-1]), float(patch.v[-1])
    texel = max(texel, width / _LARGEST_TEXTURE, height / _LARGEST_TEXTURE)
    columns, rows = max(8, round(width / texel)), max(8, round(height / texel))
    u = (np.arange(columns) + 0.5) * width / columns
    v = (np.arange(rows) + 0.5) * height / rows
    at_u = np.interp(u, patch.u, np.arange(len(patch.u))).astype(np.float32)
    at_v = np.interp(v, patch.v, np.arange(len(patch.v))).astype(np.float32)
    grid_u, grid_v = np.meshgrid(at_u, at_v)
    points = cv2.remap(patch.points.astype(np.float32), grid_u, grid_v, cv2.INTER_LINEAR)
    return Surface(points.astype(np.float64), np.stack(np.meshgrid(u, v), axis=-1), texel)


def name_seed(name: str) -> int:
    """Return the part of a random seed that belongs to an object or one of its parts."""
    return zlib.crc32(name.encode())


def _develop(radiance: Float[ndarray, "H W 3"]) -> Float[ndarray, "H W 3"]:
    """Turn exposed linear radiance into an sRGB picture: lens blur, highlight shoulder, sRGB curve."""
    blurred = cv2.GaussianBlur(radiance, (5, 5), _LENS_BLUR, borderType=cv2.BORDER_REPLICATE)
    room = 1.0 - _SHOULDER
    rolled = _SHOULDER + room * (1.0 - np.exp(-(np.maximum(blurred, _SHOULDER) - _SHOULDER) / room))
    linear = np.where(blurred > _SHOULDER, rolled, np.maximum(blurred, 0.0))
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.clip(srgb, 0.0, 1.0).astype(np.float32)


def _is_solid(material: Material) -> bool:
    """Whether a material is a function of space, so that it may run on over the edges of patches."""
    return not isinstance(material, Print | Fabric | Leaf)


def _load_mitsuba() -> Any:
    try:
        import mitsuba
    except ImportError as error:
        raise ReconError(
            "rendering photographic scenes needs mitsuba, which is not installed; install it with "
            "`pip install 'recon[synth]'` (or `pip install mitsuba`)"
        ) from error
    # The compiled variants would be faster on many cores but hang on some machines without a recent LLVM.
    mitsuba.set_variant("scalar_rgb")
    mitsuba.set_log_level(mitsuba.LogLevel.Warn)
    return mitsuba
