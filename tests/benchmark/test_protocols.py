"""What each protocol makes of a folder: its scenes, its runs, and what it leaves out."""

import json
import os
from pathlib import Path

import pytest
from make_scenes import write_blender, write_idr, write_llff, write_scene, write_spare, write_split

from recon.benchmark import protocols
from recon.benchmark.benchmark import Benchmark
from recon.benchmark.plan import Plan, plan, safe_name, sentences
from recon.benchmark.protocols import benchmark_names, load_benchmark
from recon.benchmark.request import Request
from recon.benchmark.task import RunTask
from recon.datasets import load_protocol, open_scene
from recon.errors import ReconError
from recon.evaluation.table import COLUMNS
from recon.methods.options import resolve


def planned(protocol: str, data: Path, **changes) -> Plan:
    request = Request(protocol, data, data / "bench", **{"methods": ("splat",), "device": "cpu", **changes})
    return plan(request, load_benchmark(protocol))


def runs(made: Plan) -> list[tuple[str, str, int]]:
    return [(task.dataset, task.scene, task.views) for task in made.tasks]


def scene_of(task: RunTask):
    """Open what a run of the task would open."""
    o = task.options
    return open_scene(
        o.photos,
        protocol=o.protocol,
        split=o.split,
        views=o.views,
        downscale=o.downscale,
        scene=o.scene,
        track=o.track,
        part=o.part,
    )


@pytest.mark.parametrize("name", benchmark_names())
def test_every_protocol_states_what_tables_and_help_need(name):
    benchmark = load_benchmark(name)
    assert isinstance(benchmark, Benchmark) and benchmark.name == name
    assert benchmark.summary.endswith(".") and benchmark.data
    assert set(benchmark.columns) <= set(COLUMNS)
    assert load_protocol(name).source == benchmark.rules.source
    for views in benchmark.views:
        benchmark.rules.rule(views)


def test_a_protocol_is_found_by_its_module_alone(tmp_path, monkeypatch):
    (tmp_path / "shoebox.py").write_text(
        "from recon.benchmark.benchmark import Benchmark\n"
        "BENCHMARK = Benchmark('shoebox', 'Shoes.', 'shoes', (3,), ('psnr',), (), lambda request: [])\n"
    )
    monkeypatch.setattr(protocols, "__path__", [*protocols.__path__, str(tmp_path)])
    assert "shoebox" in benchmark_names()
    assert load_benchmark("shoebox").summary == "Shoes."
    with pytest.raises(ReconError, match=r"there is no benchmark 'boots'; there are blender, .*shoebox"):
        load_benchmark("boots")


def test_llff_takes_its_scenes_at_both_sizes(tmp_path):
    for name in ("fern", "room", "garage"):
        write_llff(tmp_path / name)
    made = planned("llff", tmp_path, views=(3, 6), seeds=2, methods=("splat", "quality"))
    assert set(runs(made)) == {("LLFF 1/8", scene, views) for scene in ("fern", "room") for views in (3, 6)}
    assert len(made.tasks) == 2 * 2 * 2 * 2 and {task.options.seed for task in made.tasks[:8]} == {0}
    assert sentences(made.left_out) == [
        "garage: not among the scenes of protocol llff; --scenes takes it all the same"
    ]
    first = scene_of(made.tasks[0])
    assert first.test == ("000.png", "008.png") and first.train == ("001.png", "005.png", "011.png")
    assert first.views[0].camera.width == 32
    assert runs(planned("llff", tmp_path, scenes=("garage",))) == [("LLFF 1/8", "garage", 3)]
    assert runs(planned("llff", tmp_path / "garage")) == [("LLFF 1/8", "garage", 3)]
    (quarter,) = planned("llff", tmp_path / "fern", downscale=4).tasks
    assert quarter.dataset == "LLFF 1/4" and quarter.options.downscale == 4
    (usual,) = planned("llff", tmp_path / "fern", downscale=8).tasks
    assert usual.options.downscale is None, "the same run, asked for or not"
    with pytest.raises(ReconError, match="defined for --downscale 8 or 4, not 2"):
        planned("llff", tmp_path, downscale=2)
    with pytest.raises(ReconError, match=r"nothing of .* can be measured: .* 70 input views were asked for"):
        planned("llff", tmp_path, views=(70,))


def test_blender_has_eight_inputs_from_the_training_pictures(tmp_path):
    write_blender(tmp_path / "lego")
    (task,) = planned("blender", tmp_path).tasks
    assert (task.dataset, task.scene, task.views) == ("Blender", "lego", 8)
    scene = scene_of(task)
    assert scene.train == tuple(f"train/r_{n}.png" for n in (2, 16, 26, 55, 73, 76, 86, 93))
    assert scene.test == tuple(f"test/r_{n}.png" for n in (0, 8, 16))
    with pytest.raises(ReconError, match="leaves no choice of --downscale"):
        planned("blender", tmp_path, downscale=2)


def test_mip360_has_twelve_and_twenty_four_inputs(tmp_path):
    write_llff(tmp_path / "garden", 40)  # the data set has poses_bounds.npy beside its COLMAP models
    made = planned("mip360", tmp_path)
    assert runs(made) == [("mip-NeRF 360 1/8", "garden", 12), ("mip-NeRF 360 1/8", "garden", 24)]
    scene = scene_of(made.tasks[0])
    assert scene.test == tuple(f"{n:03d}.png" for n in range(0, 40, 8))
    assert len(scene.train) == 12 and scene.train[0] == "001.png" and scene.train[-1] == "039.png"
    with pytest.raises(ReconError, match="protocol mip360 has 12 or 24 input views, not 9"):
        planned("mip360", tmp_path, views=(9,))


def test_dtu_reads_scans_in_idr_layout(tmp_path):
    for name in ("scan8", "scan65", "scan114"):
        write_idr(tmp_path / name)
    made = planned("dtu", tmp_path, views=(3, 9))
    assert set(runs(made)) == {("DTU 1/4", scan, views) for scan in ("scan8", "scan114") for views in (3, 9)}
    assert "scan65: not among the scenes" in sentences(made.left_out)[0]
    scene = scene_of(made.tasks[0])
    assert scene.train == ("000025.png", "000022.png", "000028.png") and len(scene.test) == 25
    assert (scene.views[0].camera.width, scene.views[0].camera.height) == (8, 6)
    with pytest.raises(ReconError, match="names 9 input views, 12 were asked for"):
        planned("dtu", tmp_path, views=(12,))


def test_dtu_reads_scans_in_spare_layout(tmp_path):
    write_spare(tmp_path, "scan8", range(49))
    write_spare(tmp_path, "scan21", (25, 22, 28, 1, 2))
    made = planned("dtu", tmp_path)
    assert runs(made) == [("DTU 1/4", "scan8", 3)]
    assert sentences(made.left_out) == ["scan21 (3 views): 23 of its 25 test pictures are missing"]
    scene = scene_of(made.tasks[0])
    assert scene.train == tuple(f"rect_{n:03d}_3_r5000.png" for n in (26, 23, 29)) and len(scene.test) == 25
    assert runs(planned("dtu", tmp_path / "images" / "scan8")) == runs(made)


@pytest.fixture
def spare(tmp_path) -> Path:
    """Two DTU scans, one of them with hidden test pictures, and a synthetic scene that lacks one of them."""
    write_spare(tmp_path, "scan9", range(20))
    write_spare(tmp_path, "scan10", (0, 1, 2))
    write_spare(tmp_path, "Jenga", (0, 1, 2, 5), "Synthetic")
    write_split(
        tmp_path,
        1,
        "development",
        scan9=([0, 1, 2], [5, 6], "DTU"),
        scan10=([0, 1, 2], [5, 6], "DTU"),
        Jenga=([0, 1, 2], [5, 6], "Synthetic"),
        Mjolnir=([0, 1, 2], [5, 6], "Synthetic"),
    )
    write_split(
        tmp_path,
        2,
        "development",
        scan9=([0, 1, 2, 10, 11, 12, 13, 14, 15], [6, 7], "DTU"),
        Jenga=([0], [1, 2, 5], "Synthetic"),
    )
    return tmp_path


def test_spare_scores_what_it_has_the_test_pictures_of(spare):
    made = planned("spare", spare)
    assert runs(made) == [("DTU", "scan9", 3), ("DTU", "scan9", 9)]
    said = sentences(made.left_out)
    assert (
        "scan10 (track 1): the benchmark hides its test pictures; `recon submit spare` renders them" in said
    )
    assert "Jenga (track 1): 1 of its 2 test pictures are missing" in said
    assert "Mjolnir (track 1): it has no pictures among the files" in said
    assert any("Jenga (9 views): protocol spare: the split file states 1 input views" in one for one in said)
    first, second = (scene_of(task) for task in made.tasks)
    assert len(first.train) == 3 and len(second.train) == 9
    assert first.test == ("rect_006_3_r5000.png", "rect_007_3_r5000.png")
    assert made.tasks[0].options.output == spare / "bench/runs/DTU/scan9/3-views/splat-standard/seed-0"


def test_spare_halves_are_apart(spare):
    write_spare(spare, "Jenga", (6,), "Synthetic")
    made = planned("spare", spare, views=(3,))
    assert runs(made) == [("DTU", "scan9", 3), ("Synthetic", "Jenga", 3)]


def test_drawn_scenes_are_not_called_the_benchmarks(spare):
    write_spare(spare, "Jenga", (6,), "Synthetic")
    (spare / "synth.json").write_text('{"made_by": "recon synth spare"}')
    assert ("Synthetic stand-in", "Jenga", 3) in runs(planned("spare", spare, views=(3,)))


def test_spare_takes_one_scene_and_one_track(spare):
    assert runs(planned("spare", spare / "images" / "scan9", views=(9,))) == [("DTU", "scan9", 9)]
    assert runs(planned("spare", spare, scenes=("scan9",), views=(3,))) == [("DTU", "scan9", 3)]
    with pytest.raises(ReconError, match=r"nothing of .* can be measured: scan10 .*hides its test pictures"):
        planned("spare", spare, scenes=("scan10",))
    with pytest.raises(ReconError, match="protocol spare has 3 or 9 input views, not 6"):
        planned("spare", spare, views=(6,))


def test_spare_wants_to_know_the_part_where_both_are_there(spare):
    write_split(spare, 1, "test", scan9=([3, 4, 5], [6, 7], "DTU"))
    with pytest.raises(ReconError, match="split files of development and test: say which with --part"):
        planned("spare", spare)
    (task,) = planned("spare", spare, part="test").tasks
    assert task.options.part == "test" and scene_of(task).train[0] == "rect_004_3_r5000.png"
    with pytest.raises(ReconError, match=r"has no Track2_split_test\.json"):
        planned("spare", spare, part="test", views=(3, 9))


def test_custom_follows_each_scenes_own_split(tmp_path, textured_scene):
    scene = textured_scene.scene
    write_scene(tmp_path / "home" / "kitchen", scene)
    write_scene(tmp_path / "home" / "hall", scene.with_split(list(scene.train[:3]), list(scene.test)))
    write_scene(tmp_path / "home" / "attic", scene.with_split(list(scene.train), []))
    write_scene(tmp_path / "home" / "cellar", scene)
    (tmp_path / "home" / "cellar" / "split.json").write_text(
        json.dumps({"train": ["a.png"], "test": ["b.png"]})
    )
    (tmp_path / "home" / "not a scene").mkdir()
    made = planned("custom", tmp_path / "home")
    assert runs(made) == [("home", "hall", 3), ("home", "kitchen", 5)]
    said = " ".join(sentences(made.left_out))
    assert "attic: its split.json holds no photo out" in said
    assert "cellar (1 views): the split names 'a.png'" in said
    task = made.tasks[0]
    assert scene_of(task).train == scene.train[:3]
    assert resolve(task.options).max_size is None, "presets are compared at one size"
    (half,) = planned("custom", tmp_path / "home" / "hall", downscale=2).tasks
    assert half.dataset == "hall" and scene_of(half).views[0].camera.width == 48


def test_custom_takes_photos_without_cameras(tmp_path):
    from make_pictures import write_picture

    for number in range(4):
        write_picture(tmp_path / "trip" / f"{number}.jpg", seed=number)
    split = {"train": ["0.jpg", "1.jpg", "2.jpg"], "test": ["3.jpg"]}
    (tmp_path / "trip" / "split.json").write_text(json.dumps(split))
    assert runs(planned("custom", tmp_path)) == [(tmp_path.name, "trip", 3)]
    with pytest.raises(ReconError, match="its photos have no cameras, so --downscale does not apply"):
        planned("custom", tmp_path, downscale=2)


def test_folders_that_hold_no_scene_are_told(tmp_path):
    for name in benchmark_names():
        with pytest.raises(ReconError, match=r"holds none|has no Track\*_split"):
            planned(name, tmp_path)


def test_run_folders_have_names_that_every_file_system_takes(tmp_path):
    assert safe_name("LLFF 1/8") == "LLFF-1-8"
    assert safe_name("../..") == "-" and safe_name("a:b\\c") == "a-b-c"
    for name in ("my room", "my-room"):
        write_llff(tmp_path / name)
    with pytest.raises(ReconError, match=r"would both be written to .*my-room"):
        planned("llff", tmp_path)


@pytest.mark.real_data
@pytest.mark.skipif("RECON_DATA" not in os.environ, reason="RECON_DATA names no folder of captures")
def test_real_captures_are_planned():
    data = Path(os.environ["RECON_DATA"])
    assert runs(planned("spare", data / "spare")) == [("DTU", "scan65", 3), ("DTU", "scan65", 9)]
    assert runs(planned("llff", data / "llff")) == [("LLFF 1/8", "fern", 3)]
    (lego,) = planned("blender", data / "lego_400").tasks
    assert len(scene_of(lego).test) == 25
