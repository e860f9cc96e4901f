"""What the tables of a benchmark folder say, in every format."""

import csv
import json
import re
import statistics
from html.parser import HTMLParser

import pytest
from made_up import record, write_benchmark, write_pictures

from recon.benchmark.protocols import load_benchmark
from recon.benchmark.published import Published
from recon.benchmark.summary import summarize
from recon.benchmark.tables import write_tables
from recon.errors import ReconError

# Two scenes, three seeds: per seed the mean over scenes is 21, 22.5 and 21.
FULL = [
    record(scene, method, seed, psnr=psnr + 2 * (method == "quality"))
    for method in ("splat", "quality")
    for scene, values in (("fern", (20.0, 21.0, 22.0)), ("horns", (22.0, 24.0, 20.0)))
    for seed, psnr in enumerate(values)
]


def texts(folder):
    return {path.name: path.read_text(encoding="utf-8") for path in write_tables(folder)}


def test_means_are_over_scenes_per_seed_and_then_over_seeds():
    (section,) = summarize(FULL, [])
    splat, quality = section.overall
    assert splat.values["psnr"].mean == pytest.approx(21.5)
    assert splat.values["psnr"].deviation == pytest.approx(statistics.stdev((21.0, 22.5, 21.0)))
    assert splat.values["psnr"].count == 3, "seeds, not runs"
    assert quality.values["psnr"].mean == pytest.approx(23.5)
    fern = section.by_scene["fern"][0].values["psnr"]
    assert (fern.mean, fern.deviation) == (pytest.approx(21.0), pytest.approx(1.0))
    assert splat.values["lpips"] is None and "lpips" not in splat.partly


def test_data_sets_and_numbers_of_views_are_never_mixed():
    other = [record(dataset="LLFF 1/4", psnr=10.0), record(views=9, psnr=30.0), record()]
    sections = summarize(other, [])
    assert [(s.dataset, s.views) for s in sections] == [("LLFF 1/4", 3), ("LLFF 1/8", 9), ("LLFF 1/8", 3)]
    assert [s.overall[0].values["psnr"].mean for s in sections] == [10.0, 30.0, 20.0]


def test_nothing_is_averaged_over_a_part_of_the_runs():
    partly = [record(seed=0, lpips=0.3), record(seed=1, lpips=None)]
    summary = summarize(partly, [])[0].overall[0]
    assert summary.values["lpips"] is None and "lpips" in summary.partly
    assert summary.values["psnr"] is not None
    asked = [("LLFF 1/8", "fern", 3, "quality", "quick", seed) for seed in range(3)]
    summary = summarize(partly, asked)[0].overall[0]
    assert summary.values["psnr"] is None and "psnr" in summary.partly
    assert (summary.finished, summary.asked) == (2, 3)


def test_all_formats_say_the_same(tmp_path):
    written = texts(write_benchmark(tmp_path, FULL))
    assert list(written) == ["table.md", "table.csv", "table.tex", "index.html"]
    for mean in ("21.50 ± 0.87", "23.50 ± 0.87", "21.00 ± 1.00", "24.00 ± 2.00"):
        assert mean in written["table.md"] and mean in written["index.html"], mean
        assert mean.replace("±", r"$\pm$") in written["table.tex"]
    assert "**23.50 ± 0.87**" in written["table.md"]
    rows = list(csv.DictReader(written["table.csv"].splitlines()))
    kinds = [row["kind"] for row in rows]
    assert [kinds.count(kind) for kind in ("mean", "scene", "run")] == [2, 4, 12]
    assert float(rows[0]["psnr_mean"]) == pytest.approx(21.5)
    assert sum(float(row["psnr_mean"]) for row in rows if row["kind"] == "run") == pytest.approx(12 * 22.5)
    assert all(row["lpips_mean"] == "" for row in rows if row["kind"] != "published")


def test_absent_weights_are_told_and_never_a_number(tmp_path):
    written = texts(write_benchmark(tmp_path, FULL))
    row = next(line for line in written["table.md"].splitlines() if line.startswith("| splat | quick | 6 |"))
    assert row == (
        "| splat | quick | 6 | 21.50 ± 0.87 | **0.700 ± 0.000** | weights not installed | weights not installed "
        "| **30.0 ± 0.0** |"
    )


def test_published_figures_stand_beside_and_are_not_compared_with_one_scene(tmp_path):
    written = texts(write_benchmark(tmp_path, [r for r in FULL if r.scene == "fern"]))
    assert re.search(
        r"\* \\\[\d+\\\] not comparable: mean over 8 scenes, ours is over fern\.", written["table.md"]
    )
    assert re.search(
        r"\*CoR-GS \\\[\d+\\\]\* \| \*not comparable \\\[\d+\\\]\* .*\*20\.45\*", written["table.md"]
    )
    published = [r for r in csv.DictReader(written["table.csv"].splitlines()) if r["kind"] == "published"]
    assert published and all(row["comparable"].startswith("no: ") and row["source"] for row in published)
    assert r"\textit{CoR-GS {[}" in written["table.tex"]
    assert '<tr class="published first">' in written["index.html"]


def test_over_the_same_scenes_they_are_comparable(tmp_path):
    scenes = ("fern", "flower", "fortress", "horns", "leaves", "orchids", "room", "trex")
    written = texts(write_benchmark(tmp_path, [record(scene) for scene in scenes]))
    said = [r for r in csv.DictReader(written["table.csv"].splitlines()) if r["kind"] == "published"]
    by_method = {row["method"]: row["comparable"] for row in said}
    assert by_method["CoR-GS"] == "yes"
    assert by_method["CoherentGS"].startswith("no: its table's other rows differ")


def test_missing_runs_and_failures_are_named(tmp_path):
    finished = [r for r in FULL if r.key[1:] != FULL[-1].key[1:] and r is not FULL[0]]
    write_benchmark(
        tmp_path,
        finished,
        runs=[r.run for r in FULL],
        left_out=["trex: 2 of its 7 test pictures are missing"],
    )
    lost = FULL[-1]
    failure = {
        name: getattr(lost, name)
        for name in ("protocol", "dataset", "scene", "views", "method", "preset", "seed")
    }
    (tmp_path / "failures.json").write_text(
        json.dumps([{**failure, "error": "the disk is full", "run": lost.run}])
    )
    for name, text in texts(tmp_path).items():
        if name == "table.csv":
            assert text.splitlines()[1].startswith("mean,LLFF 1/8,,3,splat,quick,,5,6,,")
            continue
        assert "LLFF 1/8 fern, 3 views, splat quick, seed 0" in text, name
        assert "LLFF 1/8 horns, 3 views, quality quick, seed 2: the disk is full" in text
        assert "trex: 2 of its 7 test pictures are missing" in text
        assert "5 of 6" in text and "incomplete" in text


def test_a_benchmark_without_a_finished_run_has_tables_too(tmp_path):
    write_benchmark(
        tmp_path,
        [],
        methods=["splat"],
        presets=["quick"],
        scenes=["fern"],
        datasets=["LLFF 1/8"],
        runs=["runs/LLFF-1-8/fern/3-views/splat-quick/seed-0"],
    )
    assert "| splat | quick | 0 of 1 | incomplete |" in texts(tmp_path)["table.md"]


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.images, self.links, self.tags = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        values = dict(attributes)
        if tag == "img":
            self.images.append(values)
        if tag == "a":
            self.links.append(values["href"])


def test_the_page_shows_photo_render_and_difference_of_every_method(tmp_path):
    shown = [record(method=method, images={"a b#.png": 20.0}) for method in ("splat", "quality")]
    write_benchmark(tmp_path, shown)
    for made in shown:
        write_pictures(tmp_path, made)
    text = texts(tmp_path)["index.html"]
    page = Page(text)
    # One photo; per method a render, and photo and render again for the browser to subtract.
    assert len(page.images) == 1 + 2 * 3
    assert all(image["loading"] == "lazy" for image in page.images)
    assert {image["src"] for image in page.images} == {
        f"runs/LLFF-1-8/fern/3-views/{folder}/a%20b%23.png.png"
        for folder in (
            "splat-quick/seed-0/truth/test",
            "quality-quick/seed-0/truth/test",
            "splat-quick/seed-0/renders/test",
            "quality-quick/seed-0/renders/test",
        )
    }
    assert "script" not in page.tags and "default-src 'none'" in text
    assert "http://" not in text and "https://" not in text
    assert "prefers-color-scheme: dark" in text


def test_no_name_becomes_markup_and_no_path_leaves_the_folder(tmp_path):
    evil = record(method="<img src=x onerror=alert(1)>", scene="</title><script>")
    outside = record(scene="horns", run="../elsewhere")
    write_benchmark(tmp_path / "bench", [evil, outside], runs=[])
    write_pictures(tmp_path / "bench", outside)
    page = Page(texts(tmp_path / "bench")["index.html"])
    assert "script" not in page.tags and not page.images
    assert not any("elsewhere" in link for link in page.links)


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(ReconError, match=r"it has no benchmark\.yaml"):
        write_tables(tmp_path)
    write_benchmark(tmp_path, FULL, runs=["runs/LLFF-1-8/fern/seed-0"])
    with pytest.raises(ReconError, match="is not a run folder of this benchmark"):
        write_tables(tmp_path)
    write_benchmark(tmp_path, FULL, runs=7)
    with pytest.raises(ReconError, match="runs must be a list of texts"):
        write_tables(tmp_path)
    write_benchmark(tmp_path, FULL)
    (tmp_path / "failures.json").write_text('[{"scene": "fern"}]')
    with pytest.raises(ReconError, match="must hold a list of failures"):
        write_tables(tmp_path)


def test_columns_beyond_the_protocols_appear_where_they_were_measured():
    from recon.benchmark.document import compose

    made = record()
    made.metrics["test"]["lpips_alex"] = 0.21
    document = compose(load_benchmark("llff"), [made], Published())
    header = document.chapters[0].blocks[0].table.header
    assert header.index("LPIPS (AlexNet)") == header.index("average error") + 1
    assert (
        "LPIPS (AlexNet)"
        not in compose(load_benchmark("llff"), [record()], Published()).chapters[0].blocks[0].table.header
    )
