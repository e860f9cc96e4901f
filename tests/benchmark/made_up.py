"""Benchmark folders whose numbers are chosen, so that every mean can be worked out."""

from pathlib import Path

import yaml
from PIL import Image

from recon.benchmark.record import Record, write_records
from recon.evaluation.pictures import picture_path


def record(
    scene="fern", method="quality", seed=0, *, psnr=20.0, lpips=None, images=None, **changes
) -> Record:
    """A record of LLFF at 3 views.

    Args:
        images: PSNR by test image; one image with the record's own by default.
    """
    per_image = {
        name: {"psnr": value, "ssim": 0.7, "lpips": lpips}
        for name, value in (images or {"image000.png": psnr}).items()
    }
    values = {
        "protocol": "llff",
        "dataset": "LLFF 1/8",
        "scene": scene,
        "views": 3,
        "method": method,
        "preset": "quick",
        "seed": seed,
        "metrics": {
            "train": ["image001.png", "image010.png", "image019.png"],
            "test": {"psnr": psnr, "ssim": 0.7, "lpips": lpips, "average": lpips, "per_image": per_image},
            "seconds": {"total": 30.0},
        },
        "run": f"runs/LLFF-1-8/{scene}/3-views/{method}-quick/seed-{seed}",
        **changes,
    }
    return Record(**values)


def write_benchmark(folder: Path, records: list[Record], **changes) -> Path:
    """Write the files that `recon benchmark` leaves, without the run folders."""
    folder.mkdir(parents=True, exist_ok=True)
    write_records(folder, records)
    content = {
        "version": "0.1.0",
        "protocol": records[0].protocol if records else "llff",
        "settings": [],
        "methods": sorted({r.method for r in records}),
        "presets": sorted({r.preset for r in records}),
        "datasets": sorted({r.dataset for r in records}),
        "scenes": sorted({r.scene for r in records}),
        "left_out": [],
        "runs": [r.run for r in records],
        **changes,
    }
    (folder / "benchmark.yaml").write_text(yaml.safe_dump(content))
    return folder


def write_pictures(folder: Path, made: Record) -> None:
    for kind, color in (("truth/test", "red"), ("renders/test", "maroon")):
        for name in made.metrics["test"]["per_image"]:
            path = picture_path(folder / made.run, kind, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 6), color).save(path)
