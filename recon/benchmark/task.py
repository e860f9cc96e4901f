"""One reconstruction of a benchmark as a pure task: settings and a data path in, a run folder out."""

from __future__ import annotations

from dataclasses import dataclass, replace

from recon.methods.options import ReconstructOptions
from recon.run_folder import RunFolder

RunKey = tuple[str, str, str, int, str, str, int]
"""Protocol, data set, scene, number of input views, method, preset, seed."""


@dataclass(frozen=True)
class RunTask:
    """One reconstruction of a benchmark, a pure task: settings and a data path in, a run folder out.

    Attributes:
        protocol: name of the benchmark's rules.
        dataset: the part of the benchmark that is averaged by itself, such as "DTU" or "LLFF 1/8".
        scene: name within the data set.
        views: number of input views.
        options: what to reconstruct and how; `output` is the run folder, absolute.
    """

    protocol: str
    dataset: str
    scene: str
    views: int
    options: ReconstructOptions

    @property
    def key(self) -> RunKey:
        """What tells the run apart from every other of its benchmark folder, in the order of tables."""
        o = self.options
        return (self.protocol, self.dataset, self.scene, self.views, o.method, o.preset, o.seed)

    @property
    def label(self) -> str:
        """The run in words, for progress lines and failures."""
        o = self.options
        return f"{self.dataset} {self.scene}, {self.views} views, {o.method} {o.preset}, seed {o.seed}"

    @property
    def run(self) -> RunFolder:
        return RunFolder(self.options.output)

    @property
    def finished(self) -> bool:
        """Whether the run folder holds measurements and the report, the last file that a run writes."""
        return self.run.metrics_file.is_file() and self.run.report_file.is_file()


def run_task(task: RunTask) -> None:
    """Reconstruct in this process; a half-finished run folder is resumed, a finished one left alone.

    Raises:
        ReconError: when the reconstruction cannot be made, or the run folder was started with other settings.
    """
    from recon.methods.pipeline import reconstruct

    reconstruct(replace(task.options, resume=task.run.config_file.is_file()))
