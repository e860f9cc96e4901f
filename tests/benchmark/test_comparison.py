"""Paired differences, worked out by hand."""

import statistics

import pytest
from made_up import record, write_benchmark

from recon.benchmark.comparison import compare, mean_interval
from recon.errors import ReconError

SCENES = ("fern", "horns", "room")
GAIN = {
    ("fern", 0): 0.5,
    ("fern", 1): 0.7,
    ("horns", 0): 1.0,
    ("horns", 1): 1.2,
    ("room", 0): -0.2,
    ("room", 1): 0.0,
}
"""By how much B is better, by scene and seed: 0.6, 1.1 and -0.1 per scene."""


def write(folder, method, *, gain=None, scenes=SCENES, seeds=(0, 1), **changes):
    gain = gain or {}
    records = [
        record(
            scene,
            method,
            seed,
            psnr=20 + seed + gain.get((scene, seed), 0.0),
            images={
                "a.png": 19 + seed + 2 * gain.get((scene, seed), 0.0),
                "b.png": 21 + seed,
            },
            **changes,
        )
        for scene in scenes
        for seed in seeds
    ]
    return write_benchmark(folder, records)


def row(text, metric="PSNR (dB)"):
    line = next(line for line in text.splitlines() if line.startswith(f"| {metric} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_students_interval():
    """Differences 1, 2, 3: mean 2, deviation 1, quantile 4.302653 of two degrees of freedom, over the root of 3."""
    interval = mean_interval([1.0, 2.0, 3.0])
    assert (interval.mean, interval.count) == (2.0, 3)
    assert interval.half_width == pytest.approx(4.302653 / 3**0.5, abs=1e-6)
    assert mean_interval([1.0, 2.0]).half_width is None


def test_scenes_are_the_units_where_there_are_several(tmp_path):
    text = compare(write(tmp_path / "a", "splat"), write(tmp_path / "b", "quality", gain=GAIN))
    assert "6 pairs: 3 scenes (fern, horns, room), 2 seeds (0, 1)." in text
    assert "95%, paired t over scenes, n = 3." in text
    differences = [0.6, 1.1, -0.1]
    half = 4.302653 * statistics.stdev(differences) / 3**0.5
    mean = statistics.fmean(differences)
    assert row(text) == [
        "PSNR (dB)",
        "20.50",
        "21.03",
        f"{mean:+.3f}",
        f"{mean - half:+.3f} to {mean + half:+.3f}",
        "4, 1 (1 equal)",
        "4, 1 (7 equal)",
    ]
    assert "| horns | 1 | +1.200 |" in text
    assert "LPIPS (VGG): weights not installed" in text


def test_with_one_scene_the_seeds_are(tmp_path):
    gain = {("fern", seed): value for seed, value in enumerate((0.1, 0.2, 0.3))}
    a = write(tmp_path / "a", "splat", scenes=("fern",), seeds=(0, 1, 2))
    text = compare(a, write(tmp_path / "b", "quality", scenes=("fern",), seeds=(0, 1, 2), gain=gain))
    assert "paired t over seeds, n = 3. It speaks of this scene alone." in text
    assert row(text)[3:5] == ["+0.200", "-0.048 to +0.448"]


def test_too_few_units_have_no_interval(tmp_path):
    a, b = (write(tmp_path / name, "quality", scenes=("fern",)) for name in "ab")
    text = compare(a, b)
    assert "n = 2 seeds, which is too few for a confidence interval." in text
    assert row(text)[3:5] == ["0.000", "–"]


def test_lower_is_better_for_time(tmp_path):
    a, b = (write(tmp_path / name, "quality") for name in "ab")
    slow = [record(scene, "quality", seed) for scene in SCENES for seed in (0, 1)]
    for made in slow:
        made.metrics["seconds"]["total"] = 40.0
        made.metrics["test"]["per_image"] = {"a.png": {}, "b.png": {}}
    write_benchmark(b, slow)
    assert row(compare(a, b), "time (s)")[3:6] == ["+10.00", "+10.00 to +10.00", "0, 6"]


def test_methods_of_one_folder_are_named_behind_a_colon(tmp_path):
    both = [record(method=method, psnr=20.0 + (method == "quality")) for method in ("splat", "quality")]
    folder = write_benchmark(tmp_path / "both", both)
    text = compare(f"{folder}:splat", f"{folder}:quality-quick")
    assert "splat-quick → quality-quick" in text and row(text)[3] == "+1.000"
    with pytest.raises(ReconError, match="has no method 'nerf'; it has quality-quick, splat-quick"):
        compare(f"{folder}:nerf", folder)
    with pytest.raises(ReconError, match="has several methods; say which"):
        compare(f"{folder}:splat", folder)


def test_the_same_methods_of_two_folders_are_compared_each_with_itself(tmp_path):
    a = write_benchmark(tmp_path / "a", [record(method=m) for m in ("splat", "quality")])
    b = write_benchmark(tmp_path / "b", [record(method=m, psnr=20.5) for m in ("splat", "quality")])
    text = compare(a, b)
    assert "3 views: splat-quick\n" in text and "3 views: quality-quick\n" in text


def test_what_cannot_be_compared_is_refused(tmp_path):
    a = write_benchmark(tmp_path / "a", [record()])
    other_test = write_benchmark(tmp_path / "b", [record(images={"image008.png": 20.0})])
    with pytest.raises(
        ReconError, match=r"other test views \(image000.png, image008.png in one of them only\)"
    ):
        compare(a, other_test)
    made = record()
    made.metrics["train"] = ["image001.png"]
    with pytest.raises(ReconError, match="other input views"):
        compare(a, write_benchmark(tmp_path / "c", [made]))
    with pytest.raises(ReconError, match="protocols dtu and llff"):
        compare(a, write_benchmark(tmp_path / "d", [record(protocol="dtu")]))
    with pytest.raises(ReconError, match="no run in common"):
        compare(a, write_benchmark(tmp_path / "e", [record(seed=7)]))
    with pytest.raises(ReconError, match="is not a benchmark folder"):
        compare(a, tmp_path / "nothing")


def test_runs_without_a_partner_and_half_measured_metrics_are_told(tmp_path):
    a = write_benchmark(
        tmp_path / "a", [record(seed=0, lpips=0.3), record(seed=1, lpips=0.3), record(seed=2)]
    )
    b = write_benchmark(tmp_path / "b", [record(seed=0, lpips=0.2), record(seed=1)])
    text = compare(a, b)
    assert "1 run of A without a partner: LLFF 1/8 fern 3 views quality-quick seed 2" in text
    assert "LPIPS (VGG) is left out: 1 of 2 pairs have it on both sides." in text
