"""Depth of the bundled photos by stereo alone, written as pictures.

python examples/depth_from_photos.py depth_pictures
"""

import sys
from pathlib import Path

from recon.datasets import open_scene
from recon.export.pictures import write_depth
from recon.stereo import StereoSettings, estimate_depth

SAMPLE = Path(__file__).parents[1] / "data" / "sample" / "tabletop"


def main(output: Path, max_size: int = 640) -> None:
    scene = open_scene(SAMPLE, split=SAMPLE / "split.json", max_size=max_size)
    for view, result in zip(
        scene.train_views, estimate_depth(scene.train_views, StereoSettings()), strict=True
    ):
        write_depth(output / f"{view.name}.png", result.depth)
        print(f"{view.name}: depth on {(result.depth > 0).mean():.0%} of the pixels")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "depth_pictures"))
