"""What each part of `coherent` is worth: the whole method and the method without one part, over several seeds.

    RECON_DATA=… python benchmarks/coherent_ablation.py fern --views 3 --preset quick --seeds 3

The parts are those of the paper's ablation, and the inpainting of holes. The table states differences to the whole
method, seed by seed, beside the differences that CoherentGS reports on LLFF with 3 views at 1/8 size. Options, and the
file of results, are those of `few_view.py`; runs that are in the file are not repeated.

With `--relative` depth has an unknown scale and offset in disparity, others in every photo, as the paper's monocular
depth has: stereo depth is metric and leaves alignment nothing to do. A number says by how much, 0.2 where none is
given.
Correspondences stay those of stereo. The rows get the label `-relative0.2`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import few_view
import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from recon.methods import coherent
from recon.priors import DepthPrior, StereoDepth
from recon.scene import View
from recon.stereo import DepthMap
from recon.train import Trainer

PUBLISHED = {
    "decoder": (-3.65, -0.248),
    "alignment": (-1.27, -0.046),
    "multisampling": (-0.34, -0.007),
    "smoothness": (-0.13, -0.001),
    "flow": (-0.01, -0.002),
}
"""Change of PSNR and SSIM without each part, LLFF, 3 views, 1/8 size (Paliwal et al. 2024, ablation table)."""


RELATIVE = ["alignment.scale=0.03", "alignment.offset=0.03"]
"""Steps of the alignment that reach as far as `RelativeDepth` disturbs (the paper's are 1 and 5)."""


@dataclass(frozen=True)
class RelativeDepth:
    """Depth whose disparity is off by a factor and an offset per photo, as of a monocular model.

    The offset is positive, as the paper's own (0.2 of the largest disparity), so that far depth stays finite.
    """

    source: DepthPrior
    seed: int
    spread: float
    """Factors lie between exp(-spread) and exp(spread), offsets between 0 and `spread` median disparities."""

    def __call__(self, views: Sequence[View], stereo: Sequence[DepthMap]) -> list[Float[ndarray, "H W"]]:
        random = np.random.default_rng(self.seed)
        return [self._disturbed(depth, random) for depth in self.source(views, stereo)]

    def _disturbed(self, depth: Float[ndarray, "H W"], random: np.random.Generator) -> Float[ndarray, "H W"]:
        factor = np.exp(random.uniform(-self.spread, self.spread))
        offset = random.uniform(0, self.spread) / np.median(depth[depth > 0])
        known = np.where(depth > 0, depth, 1)
        return np.where(depth > 0, 1 / (factor / known + offset), 0).astype(np.float32)


def main() -> None:
    own = few_view.parser()
    own.description = __doc__
    own.add_argument(
        "--relative", type=float, nargs="?", const=0.2, help="depth of unknown scale and offset per photo"
    )
    own.set_defaults(rungs=",".join(["coherent", *(f"coherent-{part}" for part in few_view.COHERENT_OFF)]))
    arguments = own.parse_args()
    compose = few_view.compose_rung
    if arguments.relative:
        arguments.label += f"-relative{arguments.relative:g}"
        compose = partial(relative, spread=arguments.relative)
    few_view.measure(arguments, compose)
    case = [arguments.scene, arguments.views, arguments.preset, arguments.max_size]
    print("\n" + ablation_table(_rows(arguments.out, case, arguments.label)))


def relative(inputs, rung: str, preset: str, assignments: list[str], seed: int, spread: float) -> Trainer:
    """Return the trainer of a rung on relative depth."""
    _, config = few_view.rung_config(rung, preset, [*RELATIVE, *assignments])
    prior = RelativeDepth(StereoDepth(), seed, spread)
    return coherent.compose(inputs, config, seed, torch.device("cpu"), prior=prior)


def ablation_table(rows: dict[str, dict[int, dict]]) -> str:
    """Return a Markdown table of what is lost without each part, largest loss of PSNR first.

    Args:
        rows: measurements by rung and seed; only seeds that both the whole method and the rung have count.
    """
    whole = rows["coherent"]
    changes = {}
    for part in few_view.COHERENT_OFF:
        runs = rows.get(f"coherent-{part}", {})
        seeds = sorted(set(runs) & set(whole))
        if seeds:
            changes[part] = {
                name: np.array([runs[seed][name] - whole[seed][name] for seed in seeds])
                for name in ("psnr", "ssim", "gradient_error")
            }
    lines = [
        "| without | PSNR | SSIM | gradient error | published PSNR | published SSIM | seeds |",
        "|---|---|---|---|---|---|---|",
    ]
    for part, change in sorted(changes.items(), key=lambda entry: entry[1]["psnr"].mean()):
        cells = [_change(change["psnr"], 2), _change(change["ssim"], 4), _change(change["gradient_error"], 4)]
        psnr, ssim = PUBLISHED.get(part, (None, None))
        paper = ["–" if psnr is None else f"{psnr:+.2f}", "–" if ssim is None else f"{ssim:+.3f}"]
        lines.append(f"| {part} | {' | '.join([*cells, *paper])} | {len(change['psnr'])} |")
    return "\n".join(lines)


def _change(values: np.ndarray, digits: int) -> str:
    deviation = values.std(ddof=1) if len(values) > 1 else 0.0
    return f"{values.mean():+.{digits}f} ± {deviation:.{digits}f}"


def _rows(path: Path, case: list, label: str) -> dict[str, dict[int, dict]]:
    rows: dict[str, dict[int, dict]] = {}
    for line in path.read_text().splitlines():
        row = json.loads(line)
        *found, rung, seed = row["key"]
        if found == case and rung.endswith(label):
            rows.setdefault(rung.removesuffix(label), {})[seed] = row
    return rows


if __name__ == "__main__":
    main()
