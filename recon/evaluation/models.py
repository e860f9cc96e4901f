"""Which learned models recon can use, and which of them are on this machine."""

from __future__ import annotations

from recon.evaluation.lpips import WEIGHTS_NOT_INSTALLED, models_folder, weight_files

MODELS = {
    "vgg": "LPIPS metric, VGG-16 backbone: linear layers BSD-2-Clause, backbone BSD-3-Clause, 528 MB",
    "alex": "LPIPS metric, AlexNet backbone: linear layers BSD-2-Clause, backbone BSD-3-Clause, 233 MB",
}


def describe_models() -> list[str]:
    """Return one line per model: what it is, licence, size, and where it is or how to install it."""
    lines = []
    for backbone, description in MODELS.items():
        files = weight_files(backbone)  # type: ignore[arg-type]
        if files:
            state = "installed: " + ", ".join(str(file) for file in files)
        else:
            folder = models_folder() / "lpips"
            state = f"{WEIGHTS_NOT_INSTALLED}; put lpips_{backbone}.safetensors (or .pth) into {folder}"
        lines.append(f"{description}\n  {state}")
    return lines
