"""`recon benchmark` as a person types it."""

import os
import re
import subprocess
import sys

import pytest

from recon.benchmark.protocols import benchmark_names
from recon.cli.main import main

SHARED = [
    "--data",
    "-o",
    "--output",
    "--methods",
    "--preset",
    "--seeds",
    "--scenes",
    "--device",
    "--set",
    "--executor",
    "--workers",
]
CHOICES = {
    "blender": ["--views"],
    "custom": ["--downscale"],
    "dtu": ["--views"],
    "llff": ["--views", "--downscale"],
    "mip360": ["--views", "--downscale"],
    "spare": ["--views", "--part"],
}
"""What can be typed after each protocol; a change here is a change of the program that the docs must follow."""


def help_text(*command: str) -> str:
    result = subprocess.run(
        [sys.executable, "-m", "recon", "benchmark", *command, "--help"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_every_protocol_and_the_tables_are_listed():
    text = help_text()
    assert set(CHOICES) == set(benchmark_names())
    for name in (*CHOICES, "table", "compare"):
        assert re.search(rf"• {name} ", text), name


@pytest.mark.parametrize("protocol", CHOICES)
def test_a_protocol_offers_the_options_that_it_has_and_explains_each(protocol):
    text = help_text(protocol).partition("options ─")[2]
    offered = set(re.findall(r"^[│ ]*(--[a-z]+|-o)\b", text, re.MULTILINE)) - {"-h"}
    offered |= {"--output"} if "-o PATH, --output" in text else set()
    assert offered == {*SHARED, *CHOICES[protocol]}, text
    assert "the same command continues it" in " ".join(text.replace("│", " ").lower().split())


def test_what_is_typed_arrives(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr("recon.benchmark.run.run_benchmark", asked.append)
    main(
        [
            *("benchmark", "llff", "--data", str(tmp_path), "-o", "out", "--methods", "splat", "quality"),
            *("--views", "3", "6", "--seeds", "3", "--downscale", "4", "--scenes", "fern", "room"),
            *("--set", "train.iterations=5", "--workers", "2", "--preset", "quick"),
        ]
    )
    (request,) = asked
    assert request.protocol == "llff" and request.methods == ("splat", "quality")
    assert request.views == (3, 6) and request.seeds == 3 and request.downscale == 4
    assert request.scenes == ("fern", "room") and request.settings == ("train.iterations=5",)
    assert request.workers == 2 and request.preset == "quick" and request.executor == "local"
    assert request.part is None and str(request.output) == "out"


def test_a_mistake_ends_in_a_sentence_and_status_2(tmp_path, capsys):
    for arguments, words in (
        (["llff", "--data", str(tmp_path), "-o", str(tmp_path / "out")], "is no scene of this benchmark"),
        (["table", str(tmp_path)], "is not a benchmark folder"),
        (["compare", str(tmp_path), str(tmp_path)], "is not a benchmark folder"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(["benchmark", *arguments])
        assert stop.value.code == 2
        said = capsys.readouterr().err
        assert said.startswith("recon: ") and words in said
