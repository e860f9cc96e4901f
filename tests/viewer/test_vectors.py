"""Python and TypeScript read the same float32 words from the same files, whichever of them wrote the file."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from recon.splats.formats.ply import read_ply, write_ply
from recon.splats.formats.splat import read_splat, write_splat
from recon.splats.formats.spz import read_spz, write_spz
from recon.splats.gaussians import Gaussians

READERS = {".ply": read_ply, ".spz": read_spz, ".splat": read_splat}


def random_gaussians(count: int, degree: int) -> Gaussians:
    """Return Gaussians with tiny, large, negative and negative-zero numbers among them."""
    generator = torch.Generator().manual_seed(degree)
    normal = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    means = normal(count, 3) * torch.logspace(-6, 2, count)[:, None]
    means[0] = torch.tensor([0.0, -0.0, 1e-30])
    scales = -4 + 2 * normal(count, 3)
    logits = 6 * normal(count)
    return Gaussians(means, scales, normal(count, 4), logits, 0.6 * normal(count, (degree + 1) ** 2, 3))


def run(viewer: Path, command: str, pairs: list[tuple[Path, Path]]) -> None:
    names = [str(path) for pair in pairs for path in pair]
    arguments = ["node", "scripts/run.mjs", "scripts/decode.ts", command, *names]
    done = subprocess.run(arguments, cwd=viewer, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def words(gaussians: Gaussians) -> bytes:
    """Return the numbers as scripts/decode.ts writes them."""
    header = np.array([len(gaussians), gaussians.sh.shape[1]], "<u4").tobytes()
    return header + b"".join(
        tensor.numpy().astype("<f4").tobytes() for tensor in gaussians.tensors().values()
    )


def test_typescript_decodes_what_python_wrote(viewer: Path, tmp_path: Path) -> None:
    """All formats, versions and degrees in one run of Node."""
    pairs = []
    for degree in range(4):
        gaussians = random_gaussians(501, degree)
        write_ply(tmp_path / f"{degree}.ply", gaussians)
        write_splat(tmp_path / f"{degree}.splat", gaussians)
        for version in (3, 4):
            write_spz(tmp_path / f"{degree}v{version}.spz", gaussians, version)
    for path in sorted(tmp_path.iterdir()):
        pairs.append((path, path.with_suffix(path.suffix + ".words")))
    run(viewer, "decode", pairs)
    assert len(pairs) == 16
    for path, decoded in pairs:
        assert decoded.read_bytes() == words(READERS[path.suffix](path)), path.name


@pytest.mark.parametrize("suffix", READERS)
def test_python_decodes_what_typescript_wrote(viewer: Path, tmp_path: Path, suffix: str) -> None:
    """Python's numbers are those that TypeScript reads back; for .ply also those it was given."""
    pairs, again = [], []
    for degree in range(4):
        given = tmp_path / f"{degree}.words"
        given.write_bytes(words(random_gaussians(300, degree)))
        pairs.append((given, tmp_path / f"{degree}{suffix}"))
        again.append((tmp_path / f"{degree}{suffix}", tmp_path / f"{degree}.back"))
    run(viewer, "encode", pairs)
    run(viewer, "decode", again)
    for (given, written), (_, back) in zip(pairs, again, strict=True):
        read = words(READERS[suffix](written))
        assert back.read_bytes() == read, written.name
        if suffix == ".ply":
            assert given.read_bytes() == read, written.name


def test_both_languages_write_the_same_spz_and_splat_values(viewer: Path, tmp_path: Path) -> None:
    """Not the same compressed bytes, but the same numbers, but for exponentials of .splat that differ by one step."""
    gaussians = random_gaussians(400, 2)
    given = tmp_path / "given.words"
    given.write_bytes(words(gaussians))
    run(viewer, "encode", [(given, tmp_path / "typescript.spz"), (given, tmp_path / "typescript.splat")])
    write_spz(tmp_path / "python.spz", gaussians)
    write_splat(tmp_path / "python.splat", gaussians)
    for suffix in (".spz", ".splat"):
        ours = READERS[suffix](tmp_path / f"python{suffix}").tensors()
        theirs = READERS[suffix](tmp_path / f"typescript{suffix}").tensors()
        for name, tensor in ours.items():
            torch.testing.assert_close(theirs[name], tensor, rtol=0, atol=1e-5, msg=f"{suffix} {name}")


def test_node_names_what_is_wrong(viewer: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.splat"
    damaged.write_bytes(bytes(33))
    arguments = ["scripts/run.mjs", "scripts/decode.ts", "decode", str(damaged), str(tmp_path / "out")]
    node = shutil.which("node")
    assert node is not None
    done = subprocess.run([node, *arguments], cwd=viewer, capture_output=True, text=True, timeout=300)
    assert done.returncode != 0
    assert "not a multiple of 32" in done.stderr
