import csv
import io
import statistics

import pytest

from recon.evaluation.table import (
    COLUMNS,
    Row,
    Statistic,
    Table,
    best_rows,
    csv_table,
    escape_latex,
    format_statistic,
    latex_table,
    lookup,
    markdown_table,
    statistic,
)

TABLE = Table(
    header=("method", "PSNR (dB)"),
    words=1,
    rows=(
        Row(("quality", "21.17 ± 1.26"), best=frozenset({1})),
        Row(("splat", "18.00")),
        Row(("RegNeRF [1]", "19.08"), apart=True),
    ),
)


def test_mean_and_sample_deviation():
    value = statistic((20.0, 21.0, 22.5))
    assert value.mean == pytest.approx(63.5 / 3)
    assert value.deviation == pytest.approx(statistics.stdev((20.0, 21.0, 22.5)))
    assert statistic([20.0]) == Statistic(20.0, None, 1)


def test_statistics_as_text():
    assert format_statistic(statistic([1.0, 2.0]), COLUMNS["psnr"]) == "1.50 ± 0.71"
    assert format_statistic(statistic([1.0]), COLUMNS["ssim"]) == "1.000"
    assert format_statistic(None, COLUMNS["lpips"]) == "weights not installed"
    assert format_statistic(None, COLUMNS["psnr_masked"]) == "–"


def test_only_numbers_are_looked_up():
    metrics = {"test": {"psnr": 20, "ssim": True, "lpips": None, "average": "0.1"}}
    assert lookup(metrics, ("test", "psnr")) == 20.0
    assert [lookup(metrics, ("test", name)) for name in ("ssim", "lpips", "average", "nothing")] == [None] * 4
    assert lookup(metrics, ("nowhere", "psnr")) is None


def test_best_is_decided_as_printed():
    values = [statistic([20.001]), statistic([20.004]), None, statistic([19.0])]
    assert best_rows(values, COLUMNS["psnr"]) == {0, 1}
    assert best_rows(values, COLUMNS["seconds"]) == {3}
    assert best_rows(values, COLUMNS["gaussians"]) == set()
    assert best_rows(values[:1], COLUMNS["psnr"]) == set(), "one row has no best"


def test_markdown():
    assert markdown_table(TABLE) == (
        "| method | PSNR (dB) |\n"
        "| --- | ---: |\n"
        "| quality | **21.17 ± 1.26** |\n"
        "| splat | 18.00 |\n"
        "| *RegNeRF \\[1\\]* | *19.08* |\n"
    )


def test_latex():
    assert latex_table(TABLE) == (
        "\\begin{tabular}{lr}\n"
        "\\toprule\n"
        "method & PSNR (dB) \\\\\n"
        "\\midrule\n"
        "quality & \\textbf{21.17 $\\pm$ 1.26} \\\\\n"
        "splat & 18.00 \\\\\n"
        "\\midrule\n"
        "\\textit{RegNeRF {[}1{]}} & \\textit{19.08} \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
    )


def test_csv_is_unrounded_and_missing_is_empty():
    text = csv_table(("method", "psnr_mean", "psnr_std"), [("a", 1 / 3, None)])
    assert text == f"method,psnr_mean,psnr_std\na,{1 / 3},\n"
    assert float(next(csv.DictReader(io.StringIO(text)))["psnr_mean"]) == 1 / 3


def test_names_cannot_break_the_tables():
    row = Row(("a|b\n<i>*_`\\[x](y)", "1"))
    assert markdown_table(Table(("m", "n"), 1, (row,))).splitlines()[2] == (
        "| a\\|b &lt;i>\\*\\_\\`\\\\\\[x\\](y) | 1 |"
    )
    assert csv_table(("m",), [("=1+1",), ("-2",), (-2.0,)]).splitlines() == ["m", "'=1+1", "'-2", "-2.0"]


def test_everything_that_latex_would_run_is_escaped():
    assert escape_latex(r"50 % & $x_1$ #{~^} \input|<>") == (
        r"50 \% \& \$x\_1\$ \#\{\textasciitilde{}\textasciicircum{}\} "
        r"\textbackslash{}input\textbar{}\textless{}\textgreater{}"
    )
