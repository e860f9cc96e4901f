"""The published figures that ship with recon, and what is said of a malformed file."""

import pytest

from recon.benchmark.protocols import benchmark_names, load_benchmark
from recon.benchmark.published import Published, published, read_published
from recon.datasets.protocols import load_protocol
from recon.errors import ReconError
from recon.methods.options import configs_folder

FILES = sorted(path.stem for path in (configs_folder() / "published").glob("*.yaml"))

GROUP = """
groups:
  - dataset: LLFF 1/8
    views: 3
    resolution: 1/8
    scenes: [fern, horns]
    comparable: true
    figures:
      - {method: A, psnr: 20.5, source: "A, table 1"}
      - {method: B, psnr: [21.5, 0.2], ssim: 0.7, source: B, prior: none, comparable: "best of five runs"}
"""


def write(tmp_path, text):
    path = tmp_path / "published.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("protocol", FILES)
def test_every_file_belongs_to_a_protocol_and_can_be_shown(protocol):
    assert protocol in benchmark_names()
    figures = published(protocol).figures
    assert figures
    for figure in figures:
        assert 0 < figure.metrics.get("ssim", next(iter(figure.metrics.values()))).mean < 40
        assert figure.source and figure.resolution
    keys = [(figure.dataset, figure.views, figure.method) for figure in figures]
    assert len(set(keys)) == len(keys)
    shown = {column for figure in figures for column in figure.metrics}
    extra = {"lpips_alex"}  # gains its column where a run measured it
    assert shown <= {*load_benchmark(protocol).columns, *extra}


@pytest.mark.parametrize("protocol", [name for name in FILES if name != "spare"])
def test_comparable_figures_are_means_over_the_protocols_own_scenes(protocol):
    scenes = load_protocol(protocol).scenes
    comparable = [figure for figure in published(protocol).figures if figure.obstacle is None]
    assert comparable and all(set(figure.scenes) == set(scenes) for figure in comparable)
    assert comparable[0].why_not_comparable(scenes) is None


def test_a_mean_over_eight_scenes_is_not_comparable_with_one():
    figure = next(figure for figure in published("llff").figures if figure.obstacle is None)
    assert figure.why_not_comparable(["fern"]) == "mean over 8 scenes, ours is over fern"


def test_spare_has_no_figure_that_can_be_compared():
    figures = published("spare").figures
    assert all("400x300" in (figure.why_not_comparable(["scan65"]) or "") for figure in figures)


def test_protocols_without_a_file_have_no_figures():
    assert published("custom") == Published()


def test_a_file_is_read(tmp_path):
    a, b = read_published(write(tmp_path, GROUP), "llff").of("LLFF 1/8", 3)
    assert (a.method, a.metrics["psnr"].mean, a.metrics["psnr"].deviation) == ("A", 20.5, None)
    assert a.why_not_comparable(["horns", "fern"]) is None
    assert (b.metrics["psnr"].deviation, b.prior, b.obstacle) == (0.2, "none", "best of five runs")
    assert b.why_not_comparable(["fern"]) == "best of five runs; mean over 2 scenes, ours is over fern"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("groups:", "groups: [", "is not readable YAML"),
        ("groups:", "figures:", "groups is missing"),
        ("dataset: LLFF 1/8", "dataset: 8", "dataset: expected text, got 8"),
        ("views: 3", "views: three", "views must be a positive whole number, got 'three'"),
        ("views: 3", "views: true", "views must be a positive whole number, got True"),
        ("comparable: true", "comparable: false", "true or the sentence why it is not, got False"),
        ("scenes: [fern, horns]", "scenes: []", "must name the scenes"),
        ("psnr: 20.5", "psnrr: 20.5", "there is no 'psnrr'"),
        ("psnr: 20.5", "psnr: .nan", "expected a number"),
        ("psnr: 20.5", 'psnr: "20"', "group 1, A: psnr: expected a number"),
        ("psnr: 20.5, ", "", "it has no figure"),
        ('source: "A, table 1"', "source:", "source: expected text"),
        (', source: "A, table 1"', "", "source is missing"),
        ("[21.5, 0.2]", "[21.5, 0.2, 3]", "B: psnr: expected a number"),
    ],
)
def test_a_malformed_file_is_told(tmp_path, old, new, message):
    assert old in GROUP
    with pytest.raises(ReconError, match=message.replace("[", r"\[")) as told:
        read_published(write(tmp_path, GROUP.replace(old, new, 1)), "llff")
    assert "published.yaml" in str(told.value)
