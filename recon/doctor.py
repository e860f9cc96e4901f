"""What this installation can do, told in lines for a person."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from recon import __version__

OPTIONAL = {
    "skimage": ("scikit-image", "meshes (recon export --to glb)", "pip install 'recon[mesh]'"),
    "mitsuba": ("mitsuba", "the scene generator (recon synth)", "pip install 'recon[synth]'"),
}
"""Packages that some commands need, by module: name, what for, and how to get them."""


def checkup() -> list[str]:
    """Return one line per part: versions, processor, GPU, optional packages."""
    from recon import ops

    lines = [f"recon {__version__}, Python {platform.python_version()}, torch {_version('torch')}"]
    info = ops.device_info()
    lines.append(f"CPU kernels: {info.instruction_set}, {info.threads} threads")
    if info.cuda is not None:
        lines.append(f"CUDA kernels: {info.cuda}")
    else:
        lines.append(f"CUDA kernels: not used ({info.cuda_problem}); everything works on the CPU")
    for module, (package, purpose, remedy) in OPTIONAL.items():
        if find_spec(module) is None:
            lines.append(f"{package}: missing, needed for {purpose}; {remedy}")
        else:
            lines.append(f"{package} {_version(package)}: {purpose}")
    return lines


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(missing)"
