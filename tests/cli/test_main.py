"""The program as a person meets it: help, mistakes, exit codes."""

import os
import re
import subprocess
import sys
import time

import pytest
from PIL import Image

from recon.cli.main import main


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "recon", *arguments], capture_output=True, text=True, timeout=120
    )


def test_help_loads_nothing_heavy():
    """Time varies with the machine; what must not be imported does not."""
    heavy = ("torch", "cv2", "pycolmap", "scipy", "matplotlib", "mitsuba", "numpy", "starlette", "uvicorn")
    code = (
        "import sys\nfrom recon.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    started = time.perf_counter()
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert result.stdout.strip().endswith("[]"), result.stdout[-200:] + result.stderr
    assert "reconstruct" in result.stdout
    assert time.perf_counter() - started < 20


@pytest.mark.parametrize(
    "command",
    [
        "reconstruct",
        "evaluate",
        "benchmark",
        "view",
        "export",
        "submit",
        "stream",
        "synth",
        "models",
        "doctor",
    ],
)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert "usage" in capsys.readouterr().out


OPTIONS = {
    "reconstruct": "--output -o --method --preset --poses --focal-mm --protocol --split --views --downscale --max-size "
    "--scene --track --part --frame --device --seed --set --resume --overwrite "
    "--view --port --browser",
    "evaluate": "",
    "view": "--port --host --token --browser",
    "export": "--to --output -o --camera-path",
    "submit spare": "--data --track --split --output -o --method --preset --scenes --seed --extra-data --device --set "
    "--executor --workers",
    "stream info": "",
    "submit check": "--data --track --split --scenes",
    "synth": "--output -o --quality --size --seed --frames --format --depth --masks --colmap --overwrite",
    "models": "",
    "doctor": "",
}
"""What a person can type after each command; a change here is a change of the program that the docs must follow."""


@pytest.mark.parametrize("command", OPTIONS)
def test_the_options_are_those_that_were_agreed_and_each_is_explained(command):
    result = subprocess.run(
        [sys.executable, "-m", "recon", *command.split(), "--help"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"},
    )
    options = result.stdout.partition("options")[2]
    named = re.findall(r"(?<![\w-])(--?[a-z][a-z-]*)", options)
    offered = {name.replace("--no-", "--") for name in named} - {"-h", "--help"}
    assert set(OPTIONS[command].split()) <= offered, result.stdout
    described = set(re.findall(r"^[│ ]*(--[a-z-]+|-o)", options, re.MULTILINE)) - {"-h", "--help"}
    assert {name.replace("--no-", "--") for name in described} <= set(OPTIONS[command].split()), result.stdout


def test_choices_that_the_data_does_not_have_are_refused(tmp_path, capsys):
    Image.new("RGB", (64, 48), "red").save(tmp_path / "a.png")
    Image.new("RGB", (64, 48), "blue").save(tmp_path / "b.png")
    arguments = ["reconstruct", str(tmp_path), "-o", str(tmp_path / "run"), "--device", "cpu"]
    for choice in (["--scene", "scan65"], ["--track", "1"], ["--part", "test"], ["--frame", "3"]):
        with pytest.raises(SystemExit) as stop:
            main([*arguments, *choice])
        assert stop.value.code == 2
        assert f"{choice[0]} can be chosen in" in capsys.readouterr().err


def test_a_mistake_ends_in_a_sentence_and_status_2(tmp_path):
    result = run("reconstruct", str(tmp_path / "nothing"), "-o", str(tmp_path / "run"), "--device", "cpu")
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("recon: ")
    assert "does not exist" in result.stderr and "Traceback" not in result.stderr


def test_a_text_file_called_jpg_is_told(tmp_path):
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_text(f"not a picture {name}")
    result = run("reconstruct", str(tmp_path), "-o", str(tmp_path / "run"), "--device", "cpu")
    assert result.returncode == 2 and "Traceback" not in result.stderr


def test_doctor_says_what_runs(capsys):
    main(["doctor"])
    out = capsys.readouterr().out
    assert "CPU kernels:" in out and "CUDA kernels:" in out


def test_models_are_listed_with_licence_and_remedy(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("RECON_MODELS", str(tmp_path))
    main(["models"])
    out = capsys.readouterr().out
    assert "LPIPS" in out and "BSD" in out and "weights not installed" in out and str(tmp_path) in out
