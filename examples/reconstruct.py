"""Reconstruct the bundled sample from Python and print how well it matches the held-out photos.

python examples/reconstruct.py runs/example
"""

import sys
from pathlib import Path

from recon.methods.options import ReconstructOptions
from recon.methods.pipeline import reconstruct

SAMPLE = Path(__file__).parents[1] / "data" / "sample" / "tabletop"


def main(output: Path, iterations: int = 600) -> None:
    run = reconstruct(
        ReconstructOptions(
            photos=SAMPLE,
            output=output,
            split=SAMPLE / "split.json",
            preset="quick",
            settings=(f"train.iterations={iterations}",),
            overwrite=True,
        )
    )
    print(f"held-out photos: {run.read_metrics()['test']['psnr']:.2f} dB")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/example"))
