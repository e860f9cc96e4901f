"""`recon export`: a run's scene in other formats."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg


def export(
    run: Positional[Path],
    /,
    to: Literal["ply", "spz", "splat", "glb", "mp4", "colmap", "transforms"],
    output: Annotated[Path | None, arg(aliases=["-o"])] = None,
    camera_path: Path | None = None,
) -> None:
    """Export a run: splats (ply, spz, splat), a mesh (glb), a fly-through (mp4) or cameras (colmap, transforms).

    Args:
        run: a run folder made by `recon reconstruct`.
        to: the format.
        output: where to write; beside the run's other files by default.
        camera_path: JSON file of a path drawn in the viewer, for mp4; along the input cameras by default.
    """
    from recon.export.run import export_run

    print(f"wrote {export_run(run, to, output, camera_path=camera_path)}")
