"""Render a recipe to a folder: photos, exact cameras, depth and masks; frame by frame, so it can be resumed."""

import dataclasses
import hashlib
import json
import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

import recon
from recon.errors import ReconError
from recon.scene import Camera
from recon.synth.layout import (
    clip_meta,
    split_json,
    transforms_json,
    write_colmap,
    write_depth,
    write_json,
    write_mask,
    write_photo,
)
from recon.synth.recipe import Recipe, load_recipe

Quality = Literal["draft", "standard", "high"]
PictureFormat = Literal["png", "jpg"]
Progress = Callable[[int, int, str], None]

# Light paths per pixel. On the tabletop recipe they leave noise of standard deviation 0.017, 0.008 and 0.004 of
# the full range (measured at 160x120; every picture's own is in synth.json).
SAMPLES: dict[str, int] = {"draft": 16, "standard": 72, "high": 288}


@dataclass(frozen=True)
class Generated:
    """What `generate` has made.

    Attributes:
        folder: where it is.
        pictures: how many pictures the folder now holds.
        rendered: how many of them this call rendered (the others were there from an earlier call).
        noise: mean standard deviation of the pictures' noise, in sRGB units of [0, 1].
    """

    folder: Path
    pictures: int
    rendered: int
    noise: float


def generate(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    output: str | Path,
    *,
    quality: Quality = "standard",
    samples: int | None = None,
    size: tuple[int, int] | None = None,
    seed: int | None = None,
    frames: int | None = None,
    picture_format: PictureFormat = "png",
    depth: bool = True,
    masks: bool = True,
    colmap: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Generated:
    """Render a recipe's input and held-out pictures with their truth into a folder.

    A still scene becomes `images/` (the inputs), `held_out/`, `depth/*.npy` (float32 z-depth in metres), `masks/*.png`,
    `transforms.json` (nerfstudio's layout and OpenGL axes) and `split.json`. A clip becomes `ims/CAMERA/FRAME`,
    `depth/`, `masks/`, `train_meta.json` and `test_meta.json` (the layout of Dynamic 3D Gaussians, OpenCV axes).
    `synth.json` tells how it was made and every picture's noise. The same arguments give the same pixels; a call that
    was interrupted continues where it stopped.

    Args:
        recipe: a name that `recipes()` lists, a YAML file, plain data, or a `Recipe`.
        quality: light paths per pixel: draft 16, standard 72, high 288.
        samples: light paths per pixel, instead of a quality.
        size: (width, height) in pixels instead of the recipe's.
        seed: instead of the recipe's: other textures and irregular shapes, other jitter.
        frames: number of frames per camera instead of the recipe's.
        colmap: also write the cameras as a COLMAP text model in `sparse/0` (still scenes).
        overwrite: replace what another recipe or other settings have made in this folder.
        progress: called with (done, total, name) before every picture and at the end.

    Raises:
        ReconError: when the recipe is wrong, mitsuba is missing, or the folder holds something else.
    """
    recipe = _adjusted(load_recipe(recipe), size, seed, frames)
    if quality not in SAMPLES:
        raise ReconError(f"quality must be one of {', '.join(SAMPLES)}, got {quality!r}")
    if picture_format not in get_args(PictureFormat):
        raise ReconError(f"the picture format must be png or jpg, got {picture_format!r}")
    samples = SAMPLES[quality] if samples is None else samples
    if samples < 2:
        raise ReconError(f"a picture needs at least 2 samples per pixel, got {samples}")
    if colmap and recipe.frames > 1:
        raise ReconError("a clip's cameras are not written as a COLMAP model; leave out colmap")
    folder = Path(output)
    shots = _shots(recipe, picture_format)
    about = {
        "recipe": recipe.name,
        "seed": recipe.seed,
        "size": list(recipe.size),
        "samples": samples,
        "format": picture_format,
        "version": recon.__version__,
        "fingerprint": _fingerprint(recipe),
    }
    done = _resume(folder, about, overwrite)
    from recon.synth.render import Renderer

    renderer = Renderer(recipe)
    rendered = 0
    for index, shot in enumerate(shots):
        truth_missing = (depth and not (folder / shot.depth).exists()) or (
            masks and not (folder / shot.mask).exists()
        )
        photo_missing = shot.picture not in done or not (folder / shot.picture).exists()
        if progress:
            progress(index, len(shots), shot.picture)
        if truth_missing:
            truth = renderer.truth(shot.camera, seconds=shot.seconds)
            if depth:
                write_depth(folder / shot.depth, truth.depth)
            if masks:
                write_mask(folder / shot.mask, truth.mask)
        if photo_missing:
            light_seed = zlib.crc32(f"{recipe.seed} {shot.picture.rsplit('.', 1)[0]}".encode()) >> 2
            photo = renderer.photo(shot.camera, seconds=shot.seconds, samples=samples, seed=light_seed)
            write_photo(folder / shot.picture, photo.image, shot.camera)
            done[shot.picture] = {"noise": round(photo.noise, 5)}
            write_json(folder / "synth.json", {**about, "pictures": done})
            rendered += 1
    _write_cameras(folder, recipe, shots, depth=depth, masks=masks, colmap=colmap)
    if progress:
        progress(len(shots), len(shots), "")
    noise = float(np.mean([done[shot.picture]["noise"] for shot in shots]))
    return Generated(folder, len(shots), rendered, noise)


@dataclass(frozen=True, eq=False)
class _Shot:
    """One picture to take; paths are relative to the output folder."""

    picture: str
    depth: str
    mask: str
    camera: Camera
    camera_id: int
    frame: int
    seconds: float
    held_out: bool


def _shots(recipe: Recipe, picture_format: str) -> list[_Shot]:
    train, test = recipe.train_cameras(), recipe.test_cameras()
    shots = []
    for camera_id, camera in enumerate([*train, *test]):
        held_out = camera_id >= len(train)
        for frame in range(recipe.frames):
            if recipe.frames > 1:
                name, picture = f"{camera_id}/{frame:06d}", f"ims/{camera_id}/{frame:06d}"
            elif held_out:
                name = f"held_out_{camera_id - len(train):03d}"
                picture = f"held_out/{name}"
            else:
                name = f"photo_{camera_id:03d}"
                picture = f"images/{name}"
            shots.append(
                _Shot(
                    picture=f"{picture}.{picture_format}",
                    depth=f"depth/{name}.npy",
                    mask=f"masks/{name}.png",
                    camera=camera,
                    camera_id=camera_id,
                    frame=frame,
                    seconds=frame / recipe.frames_per_second,
                    held_out=held_out,
                )
            )
    # By moment, so that a moving scene is built once per frame and not once per picture.
    return sorted(shots, key=lambda shot: (shot.frame, shot.camera_id))


def _adjusted(recipe: Recipe, size: tuple[int, int] | None, seed: int | None, frames: int | None) -> Recipe:
    changes: dict[str, Any] = {}
    if size is not None:
        # Textures keep a fixed number of texels per pixel of smaller pictures, so small renderings start fast.
        coarser = max(1.0, recipe.size[0] / size[0])
        objects = tuple(
            dataclasses.replace(placed, texel=min(placed.texel * coarser, 1.0)) for placed in recipe.objects
        )
        changes |= {"size": (int(size[0]), int(size[1])), "objects": objects}
    if seed is not None:
        changes["seed"] = seed
    if frames is not None:
        changes["frames"] = frames
    return dataclasses.replace(recipe, **changes)


def _fingerprint(recipe: Recipe) -> str:
    return hashlib.sha256(repr(recipe).encode()).hexdigest()[:16]


def _resume(folder: Path, about: dict[str, Any], overwrite: bool) -> dict[str, Any]:
    """Return the pictures an earlier call with the same settings has finished; make the folder if need be."""
    record = folder / "synth.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = json.loads(record.read_text()) if record.exists() else None
        occupied = found is None and any(folder.iterdir())
    except (OSError, ValueError) as error:
        raise ReconError(f"cannot use the output folder {folder}: {error}") from error
    if not os.access(folder, os.W_OK):
        raise ReconError(f"cannot write to the output folder {folder}; choose another one")
    if isinstance(found, dict) and {key: found.get(key) for key in about} == about:
        pictures = found.get("pictures")
        return dict(pictures) if isinstance(pictures, dict) else {}
    if (found is not None or occupied) and not overwrite:
        what = "pictures made with another recipe or other settings" if found is not None else "other files"
        raise ReconError(
            f"the output folder {folder} holds {what}; choose another folder or pass overwrite to replace them"
        )
    return {}


def _write_cameras(
    folder: Path, recipe: Recipe, shots: list[_Shot], *, depth: bool, masks: bool, colmap: bool
) -> None:
    if recipe.frames > 1:
        for held_out, name in ((False, "train_meta.json"), (True, "test_meta.json")):
            chosen = [shot for shot in shots if shot.held_out == held_out]
            rows = [[shot for shot in chosen if shot.frame == frame] for frame in range(recipe.frames)]
            pictures = [[(shot.camera, shot.camera_id, shot.picture[4:]) for shot in row] for row in rows]
            if chosen:
                write_json(folder / name, clip_meta(pictures, recipe.size, recipe.frames_per_second))
        return
    entries = [
        (shot.camera, shot.picture, shot.depth if depth else None, shot.mask if masks else None)
        for shot in shots
    ]
    train = [shot.picture for shot in shots if not shot.held_out]
    test = [shot.picture for shot in shots if shot.held_out]
    write_json(folder / "transforms.json", transforms_json(entries, train, test))
    write_json(folder / "split.json", split_json(train, test))
    if colmap:
        write_colmap(folder / "sparse" / "0", [(shot.camera, shot.picture) for shot in shots])
