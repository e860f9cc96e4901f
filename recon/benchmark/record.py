"""The finished runs of a benchmark folder, as `results.json` holds them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recon.benchmark.task import RunKey, RunTask
from recon.config import from_plain
from recon.errors import ReconError
from recon.files import read_json, write_json

RESULTS_FILE = "results.json"


@dataclass(frozen=True)
class Record:
    """One finished run.

    Attributes:
        metrics: the run folder's metrics.json.
        run: the run folder, relative to the benchmark folder, with forward slashes.
    """

    protocol: str
    dataset: str
    scene: str
    views: int
    method: str
    preset: str
    seed: int
    metrics: dict[str, Any]
    run: str

    @property
    def key(self) -> RunKey:
        return (
            self.protocol,
            self.dataset,
            self.scene,
            self.views,
            self.method,
            self.preset,
            self.seed,
        )


def record_of(task: RunTask, folder: Path) -> Record:
    """Read what a finished task left in its run folder.

    Args:
        folder: the benchmark folder.

    Raises:
        ReconError: when the run folder has no readable metrics.json.
    """
    run = task.run
    metrics = run.read_metrics()
    if not isinstance(metrics, dict):
        raise ReconError(
            f"{run.metrics_file} does not hold metrics by name; delete {run.path} to make the run again"
        )
    return Record(*task.key, metrics, run.path.relative_to(folder).as_posix())


def read_records(folder: Path) -> list[Record]:
    """Read `results.json` of a benchmark folder.

    Raises:
        ReconError: when there is none, or it does not hold records.
    """
    path = Path(folder) / RESULTS_FILE
    if not path.is_file():
        raise ReconError(
            f"{folder} is not a benchmark folder: it has no {RESULTS_FILE}; `recon benchmark` makes one"
        )
    content = read_json(path)
    if not isinstance(content, list):
        raise ReconError(f"{path} must hold a list of records, not a {type(content).__name__}")
    names = set(Record.__dataclass_fields__)
    for entry in content:
        if not isinstance(entry, dict) or set(entry) != names:
            raise ReconError(f"{path} holds a record without exactly the names {', '.join(sorted(names))}")
    return [from_plain(Record, entry, str(path)) for entry in content]


def write_records(folder: Path, records: Iterable[Record]) -> None:
    """Write `results.json`, sorted by key, so that it does not depend on the order in which runs finished."""
    ordered = sorted(records, key=lambda record: record.key)
    write_json(Path(folder) / RESULTS_FILE, [asdict(record) for record in ordered])
