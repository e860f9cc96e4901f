import csv
import io
import json
import statistics

import pytest

from recon.errors import ReconError
from recon.evaluation.table import (
    COLUMNS,
    csv_table,
    format_statistic,
    markdown_table,
    read_runs,
    statistic,
    summarize,
)


def run(method="quality", seed=0, psnr=20.0, lpips=None, seconds=10.0, gaussians=1000):
    return {
        "method": method,
        "preset": "quick",
        "seed": seed,
        "test": {"psnr": psnr, "ssim": 0.7, "lpips": lpips, "per_image": {}},
        "seconds": {"total": seconds},
        "gaussians": gaussians,
    }


RUNS = [run(seed=k, psnr=p) for k, p in enumerate((20.0, 21.0, 22.5))] + [run("splat", 0, 18.0, seconds=4.0)]


def test_mean_and_sample_deviation():
    quality, splat = summarize(RUNS)
    assert quality.key == ("quality", "quick") and quality.runs == 3
    assert quality.values["psnr"].mean == pytest.approx(63.5 / 3)
    assert quality.values["psnr"].deviation == pytest.approx(statistics.stdev((20.0, 21.0, 22.5)))
    assert splat.values["psnr"].deviation is None
    assert quality.values["lpips"] is None


def test_markdown():
    text = markdown_table(summarize(RUNS))
    assert text == (
        "| method | preset | runs | PSNR (dB) | SSIM | LPIPS | time (s) | Gaussians |\n"
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        "| quality | quick | 3 | **21.17 ± 1.26** | **0.700 ± 0.000** | weights not installed "
        "| 10.0 ± 0.0 | 1000 ± 0 |\n"
        "| splat | quick | 1 | 18.00 | **0.700** | weights not installed | **4.0** | 1000 |\n"
    )


def test_a_single_row_has_no_best():
    assert "**" not in markdown_table(summarize(RUNS[:3]))


def test_csv_is_unrounded_and_missing_is_empty():
    rows = list(csv.DictReader(io.StringIO(csv_table(summarize(RUNS)))))
    assert float(rows[0]["psnr_mean"]) == statistics.fmean((20.0, 21.0, 22.5))
    assert rows[1]["psnr_std"] == "" and rows[0]["lpips_mean"] == ""


def test_no_value_is_never_a_zero():
    text = markdown_table(summarize([run(lpips=None)], columns=("lpips", "psnr_masked")))
    assert text.splitlines()[-1] == "| quality | quick | 1 | weights not installed | – |"


def test_half_measured_groups_are_refused():
    with pytest.raises(ReconError, match="quality, quick: only 1 of 2 runs have LPIPS"):
        summarize([run(seed=0, lpips=0.3), run(seed=1, lpips=None)])


def test_repeated_seeds_are_refused():
    with pytest.raises(ReconError, match="two runs have the same seed"):
        summarize([run(seed=0), run(seed=0)])


def test_unknown_columns_are_refused():
    with pytest.raises(ReconError, match="no column 'psnrr'"):
        summarize(RUNS, columns=("psnrr",))


def test_names_cannot_break_the_tables():
    rows = summarize([run(method="a|b\n<i>"), run(method="=1+1")])
    assert markdown_table(rows).splitlines()[2].startswith("| a\\|b &lt;i> | quick |")
    assert list(csv.reader(io.StringIO(csv_table(rows))))[2][0] == "'=1+1"


def test_booleans_and_text_are_not_numbers():
    assert summarize([run(psnr=True)])[0].values["psnr"] is None
    assert summarize([run(psnr="20")])[0].values["psnr"] is None


def test_grouping_by_another_name():
    rows = summarize([{**run(), "scene": "fern"}, {**run(), "scene": "horns"}], by=("scene", "method"))
    assert [row.key for row in rows] == [("fern", "quality"), ("horns", "quality")]


def test_runs_are_read_from_their_folders(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text(json.dumps(run(seed=ord(name))))
    runs = read_runs([tmp_path / "a", tmp_path / "b"])
    assert [r["run"] for r in runs] == ["a", "b"] and runs[1]["seed"] == 98
    with pytest.raises(ReconError, match="no file"):
        read_runs([tmp_path / "c"])
    (tmp_path / "b" / "metrics.json").write_text("[]")
    with pytest.raises(ReconError, match="does not hold metrics"):
        read_runs([tmp_path / "b"])


def test_statistics_as_text():
    assert format_statistic(statistic([1.0, 2.0]), COLUMNS["psnr"]) == "1.50 ± 0.71"
    assert format_statistic(None, COLUMNS["lpips"]) == "weights not installed"
