"""Writing a submission's zip and the readme in it."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recon.evaluation.hardware import machine_sentence
from recon.files import atomic_write
from recon.submission.spare import README, Asked, AskedScene

_FIXED_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip can state: the same pictures shall give the same bytes on any day."""


@dataclass(frozen=True)
class RenderedScene:
    """The pictures of a scene and how they came about.

    Attributes:
        pictures: file on disk by the name that the protocol asks for.
        render_seconds: of every picture, by the same names.
        metrics: what the run's metrics.json says.
    """

    scene: AskedScene
    pictures: Mapping[str, Path]
    render_seconds: Mapping[str, float]
    metrics: Mapping[str, Any]

    @property
    def run_seconds(self) -> float:
        """Seconds from the photos to the splat: reading, stereo and training, without the measuring."""
        seconds = self.metrics["seconds"]
        return sum(seconds.get(phase, 0.0) for phase in ("poses", "stereo", "train"))


def write_submission(path: Path, scenes: Sequence[RenderedScene], readme: str) -> None:
    """Write the zip: a folder per scene at the root, and readme.txt. Equal pictures and readme give equal bytes.

    Raises:
        ReconError: when it cannot be written; a zip that was there before then stays as it was.
    """
    pictures = {
        f"{rendered.scene.name}/{name}": file
        for rendered in scenes
        for name, file in rendered.pictures.items()
    }
    with atomic_write(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, README, readme.encode())
        for name in sorted(pictures):
            _add(archive, name, pictures[name].read_bytes())


def readme_text(
    asked: Asked, scenes: Sequence[RenderedScene], method: str, preset: str, seed: int, extra_data: str
) -> str:
    """Return what readme.txt says.

    The first lines are in the form that the AIM and NTIRE challenges ask for; the rest says what they stand for.
    """
    render_seconds = [seconds for rendered in scenes for seconds in rendered.render_seconds.values()]
    render_mean = sum(render_seconds) / len(render_seconds)
    run_mean = sum(rendered.run_seconds for rendered in scenes) / len(scenes)
    trained_on = sorted({str(rendered.metrics["device"]) for rendered in scenes})
    machines = sorted({machine_sentence(rendered.metrics["hardware"]) for rendered in scenes})
    versions = sorted({str(rendered.metrics["version"]) for rendered in scenes})
    halves = {half: [r for r in scenes if r.scene.half == half] for half in {r.scene.half: 0 for r in scenes}}
    lines = [
        f"runtime per image [s] : {render_mean:.3f}",
        f"CPU[1] / GPU[0] : {1 if trained_on == ['cpu'] else 0}",
        f"Extra Data [1] / No Extra Data [0] : {1 if extra_data else 0}",
        f"Other description : {asked}; Gaussian splatting with recon, per scene, from its "
        f"{_numbers(len(r.scene.input_views) for r in scenes)} input views",
        "",
        f"Rendering: {render_mean:.3f} seconds per image on the CPU, the mean over {len(render_seconds)} images.",
        f"Training: {run_mean:.1f} seconds per scene from reading the photos to the finished splat, the mean over "
        f"{len(scenes)} scene{'s' * (len(scenes) > 1)}; shared among the images of its scene, "
        f"{sum(r.run_seconds for r in scenes) / len(render_seconds):.2f} seconds per image. "
        "It is not part of the runtime per image above.",
        f"Device: trained on {' and '.join(name.upper() for name in trained_on)}; {'; '.join(machines)}.",
        f"Extra data: {extra_data or 'none; nothing but the input views of each scene was used'}.",
        f"Method: {method}, preset {preset}, seed {seed}.",
        f"Software: recon {' and '.join(versions)}.",
        *(f"{half}: {', '.join(r.scene.name for r in held)}." for half, held in halves.items()),
        "",
        "Seconds per scene (training; rendering of one image):",
        *(f"  {r.scene.name}: {r.run_seconds:.1f}; {_mean(r.render_seconds.values()):.3f}" for r in scenes),
    ]
    return "\n".join(lines) + "\n"


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name, _FIXED_TIME)
    info.create_system = 3  # Unix on every system, so that the permissions count and the bytes are the same
    info.external_attr = 0o100644 << 16
    archive.writestr(info, content)


def _mean(values: Any) -> float:
    values = list(values)
    return sum(values) / len(values)


def _numbers(counts: Any) -> str:
    return " or ".join(str(count) for count in sorted(set(counts)))
