"""Recipes: plain-data descriptions of procedural scenes, read from YAML and checked with sentences."""

import dataclasses
import re
import types
import typing
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

import recon
from recon.errors import ReconError
from recon.scene import Camera
from recon.synth.materials import MATERIALS, Material
from recon.synth.rigs import RIGS, Point, Rig, cameras_of
from recon.synth.shapes import SHAPES, Shape
from recon.synth.solids import SOLIDS


@dataclass(frozen=True)
class Keyframe:
    """Where an object is at a moment."""

    seconds: float
    position: Point
    rotation: Point = (0.0, 0.0, 0.0)
    """Degrees about x, then y, then z."""


@dataclass(frozen=True)
class Placed:
    """An object: a shape, what covers it and where it stands."""

    name: str
    shape: Shape
    material: Material
    """Covers every part that `materials` does not name."""
    materials: dict[str, Material] = field(default_factory=dict)
    """Materials of single parts."""
    position: Point = (0.0, 0.0, 0.0)
    """Of the object's origin, in metres."""
    rotation: Point = (0.0, 0.0, 0.0)
    """Degrees about x, then y, then z."""
    texel: float = 0.0006
    """Finest detail of the texture in metres."""
    foreground: bool = True
    """Whether masks show it."""
    motion: tuple[Keyframe, ...] = ()
    """Moments that the object passes smoothly through; they replace position and rotation."""


@dataclass(frozen=True)
class Light:
    """A rectangular lamp; it gives the soft shadows."""

    position: Point
    target: Point
    size: tuple[float, float] = (0.6, 0.6)
    radiance: Point = (8.0, 7.6, 7.0)
    """Linear RGB, in units where white paper under radiance 1 from everywhere appears as 1."""


@dataclass(frozen=True)
class Environment:
    """What surrounds the scene beyond its objects: it lights it and shows in gloss."""

    look: Literal["room", "sky", "dark"] = "room"
    strength: float = 1.0
    """Factor on its radiance."""


@dataclass(frozen=True)
class Cameras:
    """The rigs whose photos are inputs and whose photos are held out."""

    train: Rig
    test: Rig | None = None


@dataclass(frozen=True)
class Recipe:
    """A scene to render.

    Lengths are in metres, world z is up, colours are "#rrggbb", angles are in degrees.
    """

    name: str
    objects: tuple[Placed, ...]
    cameras: Cameras
    description: str = ""
    seed: int = 0
    """Chooses textures, irregular shapes and the photographer's jitter."""
    size: tuple[int, int] = (640, 480)
    """Width and height of the pictures in pixels."""
    field_of_view: float = 50.0
    """Horizontal, in degrees."""
    exposure: float = 1.0
    """Factor from radiance to sRGB-linear picture values."""
    environment: Environment = field(default_factory=Environment)
    lights: tuple[Light, ...] = ()
    frames: int = 1
    """More than one makes a clip: every camera records this many frames."""
    frames_per_second: float = 15.0
    bounces: int = 5
    """Longest light path in segments."""

    def __post_init__(self) -> None:
        where = f"recipe {self.name}"
        names = [placed.name for placed in self.objects]
        for name in names:
            if names.count(name) > 1:
                raise ReconError(f"{where}: two objects are called {name!r}; give each its own name")
        _require(
            min(self.size) >= 8 and max(self.size) <= 8192,
            f"{where}: size must be two numbers from 8 to 8192 pixels, got {list(self.size)}",
        )
        _require(
            5.0 <= self.field_of_view <= 130.0,
            f"{where}: field_of_view must be 5 to 130 degrees, got {self.field_of_view}",
        )
        _require(self.exposure > 0, f"{where}: exposure must be positive, got {self.exposure}")
        _require(1 <= self.frames <= 100_000, f"{where}: frames must be 1 to 100000, got {self.frames}")
        _require(
            self.frames_per_second > 0,
            f"{where}: frames_per_second must be positive, got {self.frames_per_second}",
        )
        _require(2 <= self.bounces <= 64, f"{where}: bounces must be 2 to 64, got {self.bounces}")
        for placed in self.objects:
            _require(
                1e-5 <= placed.texel <= 1.0,
                f"{where}: {placed.name}: texel must be 0.00001 to 1 metre, got {placed.texel}",
            )
            moments = [keyframe.seconds for keyframe in placed.motion]
            _require(
                moments == sorted(set(moments)),
                f"{where}: {placed.name}: the seconds of its motion must grow, got {moments}",
            )

    def train_cameras(self, size: tuple[int, int] | None = None) -> list[Camera]:
        """Return the input cameras for pictures of a size (the recipe's own by default)."""
        return self._cameras("train", self.cameras.train, size)

    def test_cameras(self, size: tuple[int, int] | None = None) -> list[Camera]:
        """Return the held-out cameras."""
        return self._cameras("test", self.cameras.test, size) if self.cameras.test else []

    def _cameras(self, which: str, rig: Rig, size: tuple[int, int] | None) -> list[Camera]:
        random = np.random.default_rng([self.seed, zlib.crc32(which.encode())])
        where = f"recipe {self.name}, cameras.{which}"
        return cameras_of(rig, size or self.size, self.field_of_view, random, where)


def load_recipe(recipe: "str | Path | Mapping[str, Any] | Recipe") -> Recipe:
    """Return a recipe from its name, a YAML file, or plain data.

    Args:
        recipe: the name of a recipe of this project ("tabletop"), a path, a mapping as YAML gives it, or a recipe.

    Raises:
        ReconError: when it does not exist or says something that no recipe can mean.
    """
    if isinstance(recipe, Recipe):
        return recipe
    if isinstance(recipe, Mapping):
        return _read(recipe, Recipe, f"recipe {recipe.get('name', 'without a name')}")
    path = Path(recipe)
    if not path.suffix and not path.exists():
        known = recipes()
        if str(recipe) not in known:
            raise ReconError(
                f"there is no recipe {str(recipe)!r}; known recipes: {', '.join(known) or 'none'}. "
                "A recipe of your own is given as a path to its .yaml file"
            )
        path = known[str(recipe)]
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ReconError(f"cannot read the recipe {path}: {error}") from error
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ReconError(f"the recipe {path} is not valid YAML: {error}") from error
    if not isinstance(data, Mapping):
        raise ReconError(f"the recipe {path} must be a mapping of settings, found {type(data).__name__}")
    return _read({"name": path.stem, **data}, Recipe, f"recipe {path.name}")


def recipes() -> dict[str, Path]:
    """Return the recipes that come with the project, by name."""
    package = Path(recon.__file__).resolve().parent
    folders = [package / "synth" / "recipes", package.parent / "data" / "recipes"]
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.yaml"))}


_REGISTRIES: dict[Any, tuple[str, dict[str, type]]] = {
    Shape: ("shape", {**SHAPES, **SOLIDS}),
    Material: ("material", MATERIALS),
    Rig: ("rig", RIGS),
}


def _read(data: Any, kind: Any, where: str) -> Any:
    """Convert plain data to a type, naming the place of whatever does not fit."""
    if kind in _REGISTRIES:
        word, registry = _REGISTRIES[kind]
        if not isinstance(data, Mapping) or data.get("kind") not in registry:
            found = data.get("kind") if isinstance(data, Mapping) else data
            raise ReconError(f"{where}: expected a {word} with kind: {', '.join(registry)}; found {found!r}")
        return _read({k: v for k, v in data.items() if k != "kind"}, registry[data["kind"]], where)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _read_dataclass(data, kind, where)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType or origin is typing.Union:
        inner = next(argument for argument in arguments if argument is not type(None))
        return None if data is None else _read(data, inner, where)
    if origin is Literal:
        if data not in arguments:
            raise ReconError(f"{where}: expected one of {', '.join(map(str, arguments))}; found {data!r}")
        return data
    if origin is tuple:
        if not isinstance(data, list | tuple):
            raise ReconError(f"{where}: expected a list, found {data!r}")
        if arguments[-1] is Ellipsis:
            return tuple(_read(item, arguments[0], f"{where}[{i}]") for i, item in enumerate(data))
        if len(data) != len(arguments):
            raise ReconError(f"{where}: expected {len(arguments)} values, found {len(data)}: {data!r}")
        return tuple(
            _read(item, argument, f"{where}[{i}]")
            for i, (item, argument) in enumerate(zip(data, arguments, strict=True))
        )
    if origin is dict:
        if not isinstance(data, Mapping):
            raise ReconError(f"{where}: expected a mapping, found {data!r}")
        return {str(key): _read(value, arguments[1], f"{where}.{key}") for key, value in data.items()}
    return _read_scalar(data, kind, where)


def _read_dataclass(data: Any, kind: type, where: str) -> Any:
    if not isinstance(data, Mapping):
        raise ReconError(f"{where}: expected settings, found {data!r}")
    hints = typing.get_type_hints(kind)
    known = {entry.name: entry for entry in dataclasses.fields(kind)}
    for key in data:
        if key not in known:
            raise ReconError(f"{where}: there is no setting {key!r}; known settings: {', '.join(known)}")
    for name, entry in known.items():
        missing = entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
        if missing and name not in data:
            raise ReconError(f"{where}: the setting {name!r} is missing")
    values = {}
    for key, value in data.items():
        label = f"{where}, {key}"
        if key == "objects" and isinstance(value, list):
            values[key] = tuple(
                _read(
                    item,
                    Placed,
                    f"{where}, object {item['name'] if isinstance(item, Mapping) and 'name' in item else i}",
                )
                for i, item in enumerate(value)
            )
        else:
            values[key] = _read(value, hints[key], label)
    return kind(**values)


def _read_scalar(data: Any, kind: Any, where: str) -> Any:
    if kind is bool or isinstance(data, bool):
        if kind is not bool or not isinstance(data, bool):
            raise ReconError(f"{where}: expected {_article(kind)}, found {data!r}")
        return data
    if kind is float and isinstance(data, int | float):
        if not np.isfinite(data):
            raise ReconError(f"{where}: expected a finite number, found {data!r}")
        return float(data)
    if kind is int and isinstance(data, int):
        return data
    if kind is str and isinstance(data, str):
        if data.startswith("#") and not re.fullmatch(r"#[0-9a-fA-F]{6}", data):
            raise ReconError(f'{where}: expected a colour like "#c08a54", found {data!r}')
        return data
    raise ReconError(f"{where}: expected {_article(kind)}, found {data!r}")


def _article(kind: type) -> str:
    return {bool: "true or false", float: "a number", int: "a whole number", str: "text"}[kind]


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise ReconError(sentence)
