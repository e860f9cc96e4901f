"""What each part of `coherent` is worth: the whole method and the method without one part, over several seeds.

    RECON_DATA=… python benchmarks/coherent_ablation.py fern --views 3 --preset quick --seeds 3

The parts are those of the paper's ablation, and the inpainting of holes. The table states differences to the whole
method, seed by seed, beside the differences that CoherentGS reports on LLFF with 3 views at 1/8 size. Options, and the
file of results, are those of `few_view.py`; runs that are in the file are not repeated.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import few_view
import numpy as np

PUBLISHED = {
    "decoder": (-3.65, -0.248),
    "alignment": (-1.27, -0.046),
    "multisampling": (-0.34, -0.007),
    "smoothness": (-0.13, -0.001),
    "flow": (-0.01, -0.002),
}
"""Change of PSNR and SSIM without each part, LLFF, 3 views, 1/8 size (Paliwal et al. 2024, ablation table)."""


def main() -> None:
    words = sys.argv[1:]
    rungs = ["coherent", *(f"coherent-{part}" for part in few_view.COHERENT_OFF)]
    few_view.main([*words, "--rungs", ",".join(rungs)])
    arguments = few_view.parser().parse_args(words)
    case = [arguments.scene, arguments.views, arguments.preset, arguments.max_size]
    print("\n" + ablation_table(_rows(arguments.out, case, arguments.label)))


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
