"""What a person asks of a reconstruction, and how it is resolved into the settings of a run."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from recon.config import from_plain, merged, parse_overrides, read_yaml, to_plain
from recon.errors import ReconError
from recon.run_folder import RunFolder

METHODS = {
    "coherent": ("recon.methods.coherent", "CoherentConfig"),
    "quality": ("recon.methods.quality", "QualityConfig"),
    "splat": ("recon.methods.splat", "SplatConfig"),
}
"""Name of each method, its module and its config class; the module has `compose(inputs, config, seed, device)`
and, where something is left to do after the training, `finish(gaussians, inputs, config)`."""


CHOICES = ("scene", "track", "part", "frame")
"""Options that choose among what a data set holds."""

SAID = (
    "method",
    "preset",
    "poses",
    "focal_mm",
    "protocol",
    "split",
    "views",
    "downscale",
    "max_size",
    "seed",
)
"""The other options that decide what a run gives; `--set` and the device apart."""


@dataclass(frozen=True)
class ReconstructOptions:
    """The command line of `recon reconstruct`; see recon/cli/reconstruct.py for what each means."""

    photos: Path
    output: Path
    method: str = "quality"
    preset: str = "standard"
    poses: Literal["auto", "given", "estimate", "uncertified"] = "auto"
    focal_mm: float | None = None
    protocol: str | None = None
    split: Path | None = None
    views: int | None = None
    downscale: float | None = None
    max_size: int | None = None
    scene: str | None = None
    track: int | None = None
    part: Literal["development", "test"] | None = None
    frame: int | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: int = 0
    settings: tuple[str, ...] = ()
    resume: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class RunSettings:
    """Everything that determines a run's result; written to config.yaml in full."""

    photos: Path
    method: str
    preset: str
    poses: Literal["auto", "given", "estimate", "uncertified"]
    focal_mm: float | None
    protocol: str | None
    split: Path | None
    views: int | None
    max_size: int | None
    device: Literal["cpu", "cuda"]
    seed: int
    stereo: dict[str, Any]
    settings: dict[str, Any]
    scene: str | None = None
    track: int | None = None
    part: Literal["development", "test"] | None = None
    frame: int | None = None
    downscale: float | None = None

    @property
    def masked(self) -> Literal["box", "white"]:
        """How views with an object mask are measured on the object: as the protocol says, in its box without one."""
        from recon.datasets.protocols import load_protocol

        return "box" if self.protocol is None else load_protocol(self.protocol).masked

    @property
    def stereo_config(self) -> Any:
        from recon.stereo import StereoSettings

        return from_plain(StereoSettings, self.stereo, "stereo")

    @property
    def method_config(self) -> Any:
        return from_plain(_config_class(self.method), self.settings, self.method)


def resolve(options: ReconstructOptions) -> RunSettings:
    """Lay the preset and the person's own settings over the method's defaults.

    Raises:
        ReconError: for an unknown method, preset, setting or device.
    """
    from recon.stereo import StereoSettings

    if options.method not in METHODS:
        raise ReconError(f"there is no method {options.method!r}; there are {', '.join(METHODS)}")
    if options.downscale is not None and options.max_size is not None:
        raise ReconError(
            "--downscale and --max-size both say how large the pictures shall be: give one of them"
        )
    sized = options.protocol or options.downscale is not None
    preset = _preset(options.method, options.preset)
    overrides = parse_overrides(options.settings)
    stereo = merged(preset.get("stereo", {}), overrides.pop("stereo", {}))
    method = merged(preset.get("method", {}), overrides)
    # Building the configs checks every name and value now, before any work is done.
    return RunSettings(
        photos=Path(options.photos).absolute(),
        method=options.method,
        preset=options.preset,
        poses=options.poses,
        focal_mm=options.focal_mm,
        protocol=options.protocol,
        split=None if options.split is None else Path(options.split).absolute(),
        views=options.views,
        max_size=options.max_size or (None if sized else preset.get("max_size")),
        device=choose_device(options.device),
        seed=options.seed,
        stereo=to_plain(from_plain(StereoSettings, stereo, "stereo")),
        settings=to_plain(from_plain(_config_class(options.method), method, options.method)),
        scene=options.scene,
        track=options.track,
        part=options.part,
        frame=options.frame,
        downscale=options.downscale,
    )


def read_settings(run: RunFolder) -> RunSettings:
    """Read what a run was started with from its config.yaml.

    Raises:
        ReconError: when it is missing, or holds anything else.
    """
    config = run.read_config()
    config.pop("version", None)
    return from_plain(RunSettings, config, str(run.config_file))


def refuse_changes(options: ReconstructOptions, settings: RunSettings) -> None:
    """Refuse options of a resumed run that differ from those it was started with: they would be ignored.

    Options that are left at their defaults say nothing, so `--resume` needs none of them repeated.

    Raises:
        ReconError: when an option is given that the run was not started with.
    """
    unsaid = ReconstructOptions(options.photos, options.output)
    changed = []
    for name in (*SAID, *CHOICES):
        asked, started = getattr(options, name), getattr(settings, name)
        if name == "split" and asked is not None:
            asked = Path(asked).absolute()
        if asked not in (getattr(unsaid, name), started):
            changed.append(f"--{name.replace('_', '-')}")
    overrides = parse_overrides(options.settings)
    stereo = overrides.pop("stereo", {})
    if (
        merged(settings.stereo, stereo) != settings.stereo
        or merged(settings.settings, overrides) != settings.settings
    ):
        changed.append("--set")
    if changed:
        raise ReconError(
            f"{options.output} was started with other values of {', '.join(changed)}, and --resume goes on with those: "
            "leave them out, or start another run"
        )


def choose_device(wanted: Literal["auto", "cpu", "cuda"]) -> Literal["cpu", "cuda"]:
    """Pick the GPU where there is one and our kernels can use it.

    Raises:
        ReconError: when CUDA is asked for and cannot be used.
    """
    if wanted == "cpu":
        return "cpu"
    from recon import ops

    reason = ops.device_info().cuda_problem
    if reason is None:
        return "cuda"
    if wanted == "cuda":
        raise ReconError(f"--device cuda: {reason}; use --device cpu")
    return "cpu"


def configs_folder() -> Path:
    """Return the folder of presets: inside the installed package, or beside it in a source checkout."""
    package = Path(__file__).parent.parent
    for folder in (package / "configs", package.parent / "configs"):
        if folder.is_dir():
            return folder
    raise ReconError("the presets are missing from this installation; install recon again")


def _config_class(method: str) -> Any:
    module, name = METHODS[method]
    return getattr(import_module(module), name)


def _preset(method: str, preset: str) -> dict[str, Any]:
    presets = read_yaml(configs_folder() / "methods" / f"{method}.yaml")
    if preset not in presets:
        raise ReconError(f"{method} has no preset {preset!r}; there are {', '.join(presets)}")
    return presets[preset]
