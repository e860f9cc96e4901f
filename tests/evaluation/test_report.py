"""The report of a made-up run: complete, safe against hostile names, honest about what is missing."""

import base64
import html
import io
import json
import re
import shutil
import subprocess
import tempfile
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest
import yaml
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from recon.datasets import write_points
from recon.errors import ReconError
from recon.evaluation.pictures import picture_path
from recon.evaluation.report import views as report_views
from recon.evaluation.report import write_report
from recon.evaluation.report.contents import read_contents
from recon.evaluation.report.markup import embedded
from recon.scene import SparsePoints

HOSTILE = "<script>alert(1)</script>.jpg"
QUOTED = '"><img src=x onerror=alert(2)>.jpg'
TRAIN = ("a.jpg", HOSTILE)
TEST = ("t 1.jpg", QUOTED, "ünïcode &amp; more.jpg")
SIZE = (48, 64)


def save(path, pixels, **scale):
    """Write a picture that carries a scale."""
    text = PngInfo()
    for key, value in scale.items():
        text.add_text(f"recon:{key}", value)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, pnginfo=text)


def make_run(folder, *, poses="certified", train=TRAIN, test=TEST, **metrics):
    """Write a run folder with everything in it."""
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for split, names in (("train", train), ("test", test)):
        for name in names:
            truth = generator.integers(0, 255, (*SIZE, 3), dtype=np.uint8)
            save(picture_path(folder, f"truth/{split}", name), truth)
            save(picture_path(folder, f"renders/{split}", name), truth // 2)
    for name in train:
        colors = generator.integers(0, 255, (*SIZE, 3), dtype=np.uint8)
        save(picture_path(folder, "depth", name), colors, low="1.5", high="6.25", ramp="turbo")
        save(picture_path(folder, "depth", name, "_stereo"), colors)
        save(picture_path(folder, "depth", name, "_confidence"), colors, low="0", high="1", ramp="viridis")

    frames = []
    for index, name in enumerate((*train, *test, "neither.jpg")):
        pose = np.eye(4)
        pose[0, 3] = index
        frames.append({"file_path": name, "transform_matrix": pose.tolist(), "fl_x": 50.0 + index})
    cameras = {"scene": "made <up>", "poses": poses, "w": SIZE[1], "h": SIZE[0], "frames": frames}
    cameras |= {"train_filenames": list(train), "test_filenames": list(test)}
    (folder / "cameras.json").write_text(json.dumps(cameras))

    def block(names, first):
        per_image = {n: {"psnr": first + k, "ssim": 0.7, "lpips": None} for k, n in enumerate(names)}
        return {"psnr": first + (len(names) - 1) / 2, "ssim": 0.7, "lpips": None, "per_image": per_image}

    content = {
        "method": "quality",
        "preset": "quick",
        "seed": 3,
        "device": "cpu",
        "train": list(train),
        "test": block(test, 21.25),
        "train_views": block(train, 30.0),
        "seconds": {"poses": 1.0, "stereo": 20.0, "train": 65.0, "evaluate": 4.0, "total": 100.0},
        "iterations": 400,
        "gaussians": 12345,
        "peak_memory_mb": 2048.0,
        "version": "0.1.0",
        "config_hash": "abc123",
        "hardware": {"cpu": "Test processor", "cores": 2},
        "date": "2031-02-03",
        **metrics,
    }
    (folder / "metrics.json").write_text(json.dumps(content))
    config = {"photos": "/photos/made up", "method": "quality", "preset": "quick", "seed": 3, "views": None}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    lines = [{"event": "step", "iteration": k, "seconds": k / 10, "loss": 1 / k, "psnr": 10 + k / 50, "gaussians": 9000}
             for k in range(1, 401)]  # fmt: skip
    lines.append({"event": "warning", "text": f"{HOSTILE} is blurred & dark"})
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


class Page(HTMLParser):
    """Collects elements and text, and checks that elements nest."""

    VOID = frozenset({"meta", "img", "input", "br", "link"})

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.words, self.scripts = [], [], [], []
        self.feed(text)
        assert self.open == [], "elements left open"

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif self.open and self.open[-1] != "style":
            self.words.append(data)

    def find(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def report(folder):
    return Page(write_report(folder).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def page(run):
    return report(run)


def test_nothing_comes_from_elsewhere(run, page):
    text = (run / "report.html").read_text(encoding="utf-8")
    assert "http:" not in text and "https:" not in text and "//cdn" not in text
    for image in page.find("img"):
        assert image["src"].startswith("data:image/jpeg;base64,")
    assert page.find("link") == [] and all("src" not in script for script in page.find("script"))
    policy = next(m["content"] for m in page.find("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy and "script-src 'sha256-" in policy


def test_hostile_names_stay_text(page):
    assert all("alert" not in script or "u003cscript" in script for script in page.scripts)
    assert len(page.find("script")) == 2
    for _, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes)
    assert HOSTILE in page.text and QUOTED in page.text
    assert "made <up>" in page.text
    assert "ünïcode &amp; more.jpg" in page.text  # the name itself holds "&amp;"


def test_links_lead_to_files_of_the_run_folder(run, page):
    links = [a["href"] for a in page.find("a") if not a["href"].startswith("#")]
    assert len(links) == 2 * len(TRAIN + TEST) + 3 * len(TRAIN)
    for link in links:
        assert ":" not in link
        assert (run / unquote(link)).resolve().is_relative_to(run.resolve()) and (
            run / unquote(link)
        ).is_file()
    anchors = {a["href"][1:] for a in page.find("a") if a["href"].startswith("#")}
    assert anchors <= {attributes.get("id") for _, attributes in page.elements}


def test_everything_has_a_name_for_those_who_do_not_see_it(page):
    assert all(image.get("alt") for image in page.find("img"))
    assert all(field.get("aria-label") for field in page.find("input"))
    assert all(canvas.get("aria-label") and canvas.get("tabindex") == "0" for canvas in page.find("canvas"))
    assert all(svg.get("aria-label") for svg in page.find("svg"))
    assert len(page.find("h1")) == 1


def test_contents(page):
    for expected in (
        "22.25 dB", "weights not installed", "12,345", "after 400 iterations", "1 min 40 s", "2.00 GB",
        "Absolute difference, mean over the channels, ×4", "near 1.5", "far 6.25", "Confidence of stereo",
        "training 1 min 5 s", "the rest 10 s", "Training loss", "Training PSNR", "logarithmic",
        "1 warning", "is blurred & dark", "abc123", "Test processor, 2 cores", "2031-02-03", "photos: /photos/made up",
        "recon reconstruct '/photos/made up' -o run --method quality --preset quick --seed 3",
        "lowest PSNR", "highest PSNR", "2 input", "3 held out",
    ):  # fmt: skip
        assert expected in page.text, expected
    assert len(page.find("input")) == len(TRAIN + TEST)
    assert len(page.find("svg")) == 3


@pytest.mark.parametrize(
    ("poses", "badge", "doubtful"),
    [
        ("certified", "Poses certified", False),
        ("given", "Poses given", False),
        ("plausible", "Poses plausible", False),
        ("uncertified", "UNCERTIFIED POSES", True),
        (None, "POSE STATUS UNKNOWN", True),
        ("<b>", "POSE STATUS UNKNOWN", True),
    ],
)
def test_the_trust_in_the_poses_cannot_be_missed(tmp_path, poses, badge, doubtful):
    page = report(make_run(tmp_path / "run", poses=poses))
    assert page.text.count(badge) == (
        3 if doubtful else 2
    )  # menu, header, and the title where it is a warning
    assert dict(page.find("body")[0])["class"] == (poses if badge != "POSE STATUS UNKNOWN" else "unknown")


def test_the_scene_data_is_json_with_cameras_in_world_coordinates(page):
    scene = json.loads(page.scripts[0])
    assert [camera["name"] for camera in scene["cameras"]] == [*TRAIN, *TEST]
    assert [camera["split"] for camera in scene["cameras"]] == ["train"] * 2 + ["test"] * 3
    assert scene["cameras"][2]["center"] == [2.0, 0.0, 0.0]
    corners = np.array(scene["cameras"][2]["corners"])
    # OpenGL axes: the identity pose looks along -z with y up; the first corner is the top left one.
    assert (
        (corners[:, 2] < 0).all() and corners[0, 0] < 2 < corners[1, 0] and corners[0, 1] > 0 > corners[3, 1]
    )
    assert scene["points"] is None and scene["cameras"][0]["picture"].startswith("data:")


def test_notes_are_shown_apart_from_warnings(tmp_path):
    run = make_run(tmp_path / "run", warnings=[], notes=["read as llff"])
    with open(run / "log.jsonl", "a") as log:
        log.write(json.dumps({"event": "note", "text": "read as llff"}) + "\n")
        log.write(json.dumps({"event": "note", "text": "a <b>note</b>"}) + "\n")
    contents = read_contents(run)
    assert contents.notes == ["read as llff", "a <b>note</b>"] and "read as llff" not in contents.warnings
    page = write_report(run).read_text(encoding="utf-8")
    assert page.count("<li>read as llff</li>") == 1 and "a &lt;b&gt;note" in page


def test_sparse_points_are_drawn_where_there_is_no_splat(tmp_path):
    run = make_run(tmp_path / "run")
    (run / "splat.ply").unlink(missing_ok=True)
    write_points(run / "points.ply", SparsePoints(np.eye(3), np.full((3, 3), 9, np.uint8)))
    cameras = json.loads((run / "cameras.json").read_text())
    (run / "cameras.json").write_text(json.dumps({**cameras, "ply_file_path": "points.ply"}))
    assert json.loads(report(run).scripts[0])["points"]["count"] == 3


def test_points_of_the_splat_are_drawn(tmp_path):
    import base64

    from plyfile import PlyData, PlyElement

    run = make_run(tmp_path / "run")
    names = ("x", "y", "z", "opacity", "f_dc_0", "f_dc_1", "f_dc_2")
    points = np.zeros(700, dtype=[(name, "f4") for name in names])
    points["x"], points["z"] = np.linspace(-1, 1, 700), -3
    points["opacity"], points["f_dc_0"] = 1, 0.5 / 0.28209479177387814
    points["opacity"][:100] = -1  # nearly transparent: not drawn
    points["y"][200] = np.nan
    PlyData([PlyElement.describe(points, "vertex")]).write(str(run / "splat.ply"))
    cloud = json.loads(report(run).scripts[0])["points"]
    assert cloud["count"] == 599
    raw = np.frombuffer(base64.b64decode(cloud["positions"]), "<u2").reshape(-1, 3) / 65535
    positions = np.array(cloud["low"]) + raw * (np.array(cloud["high"]) - np.array(cloud["low"]))
    kept = np.delete(points["x"][100:], 100)
    assert np.allclose(positions[:, 0], kept, atol=1e-4) and np.allclose(positions[:, 2], -3, atol=1e-4)
    assert base64.b64decode(cloud["colors"])[:3] == bytes((255, 128, 128))


def test_a_broken_splat_or_picture_is_told_and_the_rest_is_shown(tmp_path):
    run = make_run(tmp_path / "run")
    (run / "splat.ply").write_bytes(b"ply\nformat binary_little_endian 1.0\nelement vertex 99999999999\n")
    picture_path(run, "renders/test", TEST[0]).write_bytes(b"not a picture")
    page = report(run)
    assert "splat.ply: its points could not be read" in page.text
    assert "is not a readable picture" in page.text
    assert "3 warnings" in page.text and len(page.find("input")) == len(TRAIN + TEST) - 1


def test_files_outside_of_the_run_folder_are_not_read(tmp_path):
    run = make_run(tmp_path / "run")
    secret = tmp_path / "secret.png"
    Image.new("RGB", SIZE[::-1], "red").save(secret)
    target = picture_path(run, "renders/test", TEST[0])
    target.unlink()
    target.symlink_to(secret)
    cameras = json.loads((run / "cameras.json").read_text())
    (run / "cameras.json").write_text(json.dumps({**cameras, "ply_file_path": "../secret.ply"}))
    (tmp_path / "secret.ply").write_text("ply\nthis would be told as unreadable\n")
    page = report(run)
    assert len(page.find("input")) == len(TRAIN + TEST) - 1 and "secret" not in page.text


def test_an_almost_empty_run_still_has_a_report(tmp_path):
    (tmp_path / "config.yaml").write_text("method: splat\n")
    page = report(tmp_path)
    for expected in (
        "splat",
        "did not finish",
        "No photo was held out",
        "not recorded",
        "POSE STATUS UNKNOWN",
    ):
        assert expected in page.text, expected
    assert " 0.00" not in page.text


def test_no_run_folder_no_report(tmp_path):
    with pytest.raises(ReconError, match="not a run folder"):
        write_report(tmp_path)


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"test": 3, "train": "x", "seconds": [1], "seed": {}}', '{"gaussians": NaN}']
)
def test_senseless_files_do_not_stop_the_report(tmp_path, text):
    run = make_run(tmp_path / "run")
    for name in ("metrics.json", "cameras.json"):
        (run / name).write_text(text)
    (run / "log.jsonl").write_text(
        '{"event": "step"}\nnull\n[1]\n{"event": "step", "iteration": "x"}\n{"event": "st'
    )
    page = report(run)
    assert "log.jsonl: 1 line could not be read" in page.text


def test_a_resumed_run_counts_repeated_iterations_once(tmp_path):
    run = make_run(tmp_path / "run")
    lines = [
        {"event": "step", "iteration": k, "psnr": value}
        for value, ks in ((1.0, (1, 2, 3)), (7.0, (2, 3, 4)))
        for k in ks
    ]
    (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (chart,) = report(run).find("svg")
    assert [point[:2] for point in json.loads(chart["data-points"])] == [
        [1, "1.00 dB"], [2, "7.00 dB"], [3, "7.00 dB"], [4, "7.00 dB"],
    ]  # fmt: skip


def test_of_many_views_an_even_selection_is_shown_and_said(tmp_path, monkeypatch):
    monkeypatch.setattr(report_views, "MAX_SHOWN", 3)
    names = tuple(f"{k}.jpg" for k in range(9))
    page = report(make_run(tmp_path / "run", test=names))
    assert "3 of 9 views, evenly chosen" in page.text
    shown = [image["alt"] for image in page.find("img") if image["alt"].startswith("Render from")][:3]
    assert [alt.split()[-1] for alt in shown] == ["0.jpg", "4.jpg", "8.jpg"]
    assert all(f"{21.25 + k:.2f}" in page.text for k in range(9))


def test_seeds_give_mean_and_deviation(tmp_path):
    run = make_run(tmp_path / "run")
    for seed, psnr in enumerate((20.0, 21.0, 22.5)):
        place = run / "seeds" / str(seed)
        place.mkdir(parents=True)
        (place / "metrics.json").write_text(json.dumps({"seed": seed, "test": {"psnr": psnr, "lpips": None}}))
    text = report(run).text
    assert "Mean ± standard deviation over 3 seeds (0, 1, 2)" in text and "21.17 ± 1.26" in text


def test_a_recorded_command_is_shown_as_it_was(tmp_path):
    text = report(make_run(tmp_path / "run", command=["recon", "reconstruct", "my photos"])).text
    assert "recon reconstruct 'my photos'" in text and "same effect" not in text


def test_names_that_are_not_utf8(tmp_path):
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    page = report(make_run(tmp_path / "run", test=(name,)))
    assert "caf?.jpg" in page.text


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def browse(page, *options):
    """Open a page in headless Chromium; returns its output, console messages included."""
    with tempfile.TemporaryDirectory() as profile:
        command = [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--enable-logging=stderr",
            f"--user-data-dir={profile}", "--virtual-time-budget=3000", *options, page.resolve().as_uri(),
        ]  # fmt: skip
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


PROBE = """
{
const done = {};
const later = (action) => new Promise((resolve) => setTimeout(() => resolve(action()), 100));
const canvas = document.getElementById("orbit");
const range = document.querySelector(".compare input");
const chart = document.querySelector(".chart svg");
(async () => {
  const before = await later(() => canvas.toDataURL());
  done.colors = new Set(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data).size;
  canvas.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" }));
  const turned = await later(() => canvas.toDataURL());
  canvas.dispatchEvent(new KeyboardEvent("keydown", { key: "0" }));
  done.turns = turned !== before;
  done.resets = (await later(() => canvas.toDataURL())) === before;
  range.value = 20;
  range.dispatchEvent(new Event("input"));
  done.split = range.parentElement.style.getPropertyValue("--split");
  const box = chart.getBoundingClientRect();
  chart.dispatchEvent(new PointerEvent("pointermove", { clientX: box.right, clientY: box.top }));
  done.curve = chart.closest("figure").querySelector("output").textContent;
  done.overflow = document.documentElement.scrollWidth - innerWidth;
  document.getElementById("probe").textContent = JSON.stringify(done);
})();
}
"""


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_in_a_browser(run, page, tmp_path):
    picture = tmp_path / "shot.png"
    result = browse(run / "report.html", "--window-size=1280,800", f"--screenshot={picture}")
    assert "CONSOLE" not in result.stderr, result.stderr
    pixels = np.asarray(Image.open(picture).convert("RGB"))
    assert pixels.shape[1] >= 1280 and len(np.unique(pixels.reshape(-1, 3), axis=0)) > 1000


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_what_moves_in_a_narrow_browser(run, page, tmp_path):
    text = (run / "report.html").read_text(encoding="utf-8")
    # The probe is a script of its own, which the page's policy rightly would not run.
    text = re.sub(r"script-src 'sha256-[^']*'", "script-src 'unsafe-inline'", text)
    # Without a window no frames are drawn, so nothing would ever be called back.
    text = text.replace("<body", "<script>requestAnimationFrame = (f) => setTimeout(f, 0)</script><body", 1)
    copy = tmp_path / "report.html"
    copy.write_text(text.replace("</body>", f"<output id=probe></output><script>{PROBE}</script></body>"))
    dom = browse(copy, "--window-size=390,900", "--dump-dom").stdout
    done = json.loads(html.unescape(re.search(r'id="probe">([^<]+)<', dom)[1]))
    assert done.pop("colors") > 50
    assert done.pop("overflow") <= 0
    # 400 log lines are drawn as 200 points, the last of which is the mean of the last two.
    assert done == {"turns": True, "resets": True, "split": "20%", "curve": "0.0025 at 400"}


@pytest.mark.parametrize("noise", [False, True])
def test_any_picture_can_be_embedded(noise):
    """Noise makes a JPEG larger than one byte per pixel, more than Pillow's optimizer has room for."""
    pixels = np.random.default_rng(0).integers(0, 256 if noise else 2, (120, 160, 3)).astype(np.uint8)
    url, width, height = embedded(Image.fromarray(pixels), width=160)
    head, _, data = url.partition(",")
    assert head == "data:image/jpeg;base64" and (width, height) == (160, 120)
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))), float)
    assert np.abs(shown - pixels).mean() < 12
