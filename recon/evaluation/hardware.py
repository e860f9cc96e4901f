"""The machine that numbers were measured on: what has to stand next to every time in a report or table."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path


def describe_machine() -> dict[str, str | int | float | None]:
    """Return the processor, its cores and instruction set, memory, GPU, system and library versions.

    A value is None where this machine does not tell. `cores` are those this process may use.
    """
    from importlib.metadata import PackageNotFoundError, version

    import recon

    try:
        torch_version: str | None = version("torch")
    except PackageNotFoundError:
        torch_version = None
    return {
        "cpu": _cpu_model(),
        "cores": _usable_cores(),
        "instruction_set": _instruction_set(),
        "memory_gb": _memory_gb(),
        "gpu": _gpu(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch_version,
        "recon": recon.__version__,
    }


def machine_sentence(machine: dict[str, str | int | float | None]) -> str:
    """Return the machine on one line, leaving out what is not known."""
    parts = [str(machine.get("cpu") or "unknown processor")]
    if machine.get("cores"):
        parts.append(f"{machine['cores']} core{'s' if machine['cores'] != 1 else ''}")
    if machine.get("instruction_set"):
        parts.append(str(machine["instruction_set"]))
    if machine.get("memory_gb"):
        parts.append(f"{machine['memory_gb']} GB memory")
    if machine.get("gpu"):
        parts.append(str(machine["gpu"]))
    parts += [f"{name} {machine[name]}" for name in ("python", "torch", "recon") if machine.get(name)]
    return ", ".join(parts)


def _cpu_model() -> str | None:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("model name", "Model")):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    if sys.platform == "darwin":
        return _first_line("sysctl", "-n", "machdep.cpu.brand_string")
    return platform.processor() or None


def _usable_cores() -> int | None:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _instruction_set() -> str | None:
    """Return the name of the instruction set that the CPU kernels run with, None where they are not built."""
    try:
        from recon import _core  # type: ignore[attr-defined]
    except ImportError:
        return None
    return str(_core.instruction_set())


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, OSError, ValueError):
        return None


def _gpu() -> str | None:
    """Ask the driver, so that torch need not be loaded; None without an NVIDIA GPU."""
    return _first_line("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")


def _first_line(*command: str) -> str | None:
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip().partition("\n")[0] or None
