"""`recon stream`: streams of moving Gaussians."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Union

from tyro.conf import OmitArgPrefixes, OmitSubcommandPrefixes, Positional, arg, subcommand


def encode(
    capture: Positional[Path],
    /,
    output: Annotated[Path, arg(aliases=["-o"])],
    preset: str = "quick",
    cameras: tuple[str, ...] | None = None,
    test_cameras: tuple[str, ...] | None = None,
    start: int = 0,
    frames: int | None = None,
    fps: float | None = None,
    downscale: float | None = None,
    max_size: int | None = None,
    watch: bool = False,
    patience: float = 60.0,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    seed: int = 0,
    settings: Annotated[tuple[str, ...], arg(name="set")] = (),
    resume: bool = False,
    overwrite: bool = False,
) -> None:
    """Encode a clip of synchronised cameras as a stream that `recon view` plays; each frame is written once trained.

    Args:
        capture: a clip: Dynamic 3D Gaussians' meta JSON, N3DV's layout, or cameras (transforms.json, COLMAP) beside one
            video or folder of pictures for each.
        output: folder of the stream.
        preset: quick, standard, or published (QUEEN as in its paper).
        cameras: names of the cameras to train on; by default all that are not held out.
        test_cameras: names of the cameras to hold out and measure on; by default those that the clip holds out.
        start: first frame.
        frames: how many frames; by default all.
        fps: frames per second: of folders of pictures that do not say; videos are resampled to it.
        downscale: shrink pictures by this factor.
        max_size: shrink pictures until their longer side has this many pixels.
        watch: the clip is still being recorded: wait for frames as they come.
        patience: with --watch, seconds without a new frame after which the stream ends.
        device: where to train.
        seed: of all random numbers.
        settings: other settings as name=value, for example frame.epochs=8.
        resume: go on with a stream after its last whole frame.
        overwrite: replace a stream.
    """
    from recon.queen.encode import EncodeOptions
    from recon.queen.encode import encode as encode_clip

    encode_clip(
        EncodeOptions(
            capture=capture,
            output=output,
            preset=preset,
            cameras=cameras,
            test_cameras=test_cameras,
            start=start,
            frames=frames,
            fps=fps,
            downscale=downscale,
            max_size=max_size,
            watch=watch,
            patience=patience,
            device=device,
            seed=seed,
            settings=settings,
            resume=resume,
            overwrite=overwrite,
        )
    )


def info(stream: Positional[Path], /) -> None:
    """Decode a whole stream, compare every checksum, and tell its frames, its bytes by kind of section, and its rate.

    Args:
        stream: a folder with a `manifest.json`.
    """
    from recon.streaming import stream_info

    print("\n".join(stream_info(stream).lines()))


_Commands = OmitArgPrefixes[
    OmitSubcommandPrefixes[
        Union[  # noqa: UP007  an annotated None cannot stand beside |
            Annotated[None, subcommand("encode", constructor=encode)],
            Annotated[None, subcommand("info", constructor=info)],
        ]
    ]
]


def stream(command: _Commands) -> None:
    """Make streams of moving Gaussians, and look into them."""
