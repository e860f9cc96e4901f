"""A run folder: everything a reconstruction leaves behind, self-contained and safe to load."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

from recon.config import read_yaml
from recon.errors import ReconError
from recon.files import atomic_write, read_json, write_json


class RunFolder:
    """Paths and files of one run; docs/run-folder.md describes them."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    @property
    def config_file(self) -> Path:
        return self.path / "config.yaml"

    @property
    def cameras_file(self) -> Path:
        return self.path / "cameras.json"

    @property
    def exposures_file(self) -> Path:
        return self.path / "exposures.json"

    @property
    def splat_file(self) -> Path:
        return self.path / "splat.ply"

    @property
    def confidence_file(self) -> Path:
        return self.path / "confidence.safetensors"

    @property
    def stereo_points_file(self) -> Path:
        return self.path / "stereo_points.ply"

    @property
    def mesh_file(self) -> Path:
        return self.path / "mesh.glb"

    @property
    def metrics_file(self) -> Path:
        return self.path / "metrics.json"

    @property
    def log_file(self) -> Path:
        return self.path / "log.jsonl"

    @property
    def report_file(self) -> Path:
        return self.path / "report.html"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @classmethod
    def create(cls, path: Path, *, overwrite: bool) -> RunFolder:
        """Make a new run folder.

        Raises:
            ReconError: when something is there already and `overwrite` is not set, when what is there is not a run
                folder, or when the folder cannot be written.
        """
        run = cls(path)
        if run.path.is_file():
            raise ReconError(f"{path} is a file; give a folder for the run")
        if run.path.exists() and not run._is_barren():
            if not overwrite:
                raise ReconError(
                    f"{path} already holds files; continue that run with --resume, replace it with --overwrite, "
                    "or choose another folder"
                )
            if not run.config_file.exists():
                raise ReconError(
                    f"{path} holds files that no run of recon made; --overwrite will not delete them"
                )
            shutil.rmtree(run.path)
        try:
            run.path.mkdir(parents=True, exist_ok=True)
            probe = run.path / ".writable"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise ReconError(
                f"cannot write to {path}: {error.strerror}; choose another folder with -o"
            ) from error
        return run

    def _is_barren(self) -> bool:
        """Tell whether nothing is here but the settings of a run that failed before it made anything."""
        return {entry.name for entry in self.path.iterdir()} <= {self.config_file.name, self.log_file.name}

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Open an existing run folder.

        Raises:
            ReconError: when there is none.
        """
        run = cls(path)
        if not run.config_file.is_file():
            raise ReconError(
                f"{path} is not a run folder: it has no config.yaml; `recon reconstruct` makes one"
            )
        return run

    def write_config(self, config: dict[str, Any]) -> None:
        import yaml

        with atomic_write(self.config_file, text=True) as file:
            yaml.safe_dump(config, file, sort_keys=False, allow_unicode=True)

    def read_config(self) -> dict[str, Any]:
        config = read_yaml(self.config_file)
        if not isinstance(config, dict):
            raise ReconError(f"{self.config_file} does not hold settings by name")
        return config

    def write_metrics(self, metrics: dict[str, Any]) -> None:
        write_json(self.metrics_file, metrics)

    def read_metrics(self) -> dict[str, Any]:
        if not self.metrics_file.exists():
            raise ReconError(
                f"{self.path} has no metrics.json: the run did not finish; continue it with --resume"
            )
        return read_json(self.metrics_file)

    def log(self, event: str, **values: Any) -> None:
        """Append one line to log.jsonl."""
        line = json.dumps({"event": event, **values}, allow_nan=False)
        with open(self.log_file, "a", encoding="utf-8") as file:
            file.write(line + "\n")


class Phases:
    """Measures the phases of a run and writes each to the log when it ends."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self.seconds: dict[str, float] = {}
        self._started = time.perf_counter()

    def start(self) -> None:
        self._started = time.perf_counter()

    def end(self, name: str, seconds: float | None = None) -> None:
        """Close the phase that began with the last `start` or `end`."""
        now = time.perf_counter()
        self.seconds[name] = now - self._started if seconds is None else seconds
        self._started = now
        self._run.log("phase", name=name, seconds=round(self.seconds[name], 3))
