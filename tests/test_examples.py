"""The examples run as they are written, at a small size."""

import importlib.util
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_reconstruct(tmp_path, capsys):
    load("reconstruct").main(tmp_path / "run", iterations=15)
    assert "dB" in capsys.readouterr().out
    assert (tmp_path / "run" / "report.html").exists()


def test_depth_from_photos(tmp_path, capsys):
    load("depth_from_photos").main(tmp_path, max_size=240)
    assert len(list(tmp_path.glob("*.png"))) >= 3
    assert "depth on" in capsys.readouterr().out
