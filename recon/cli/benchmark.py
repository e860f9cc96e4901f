"""`recon benchmark`: many reconstructions by a protocol's rules, their tables, and comparisons of two such."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from tyro.conf import OmitSubcommandPrefixes, Positional, arg, subcommand

from recon.benchmark.benchmark import Benchmark
from recon.benchmark.protocols import benchmark_names, load_benchmark

ARGUMENTS = """Args:
    data: {data}.
    output: folder of the benchmark. The same command continues it; another may add methods, views, seeds or scenes.
    methods: what to measure, for example `splat quality`.
    preset: how much time each run may spend.
    views: numbers of input views; {views} by default.
    seeds: how many seeds; tables show mean and standard deviation over them.
    scenes: only these scenes.
    downscale: divide the pictures' width and height by this.
    part: which part's split files to follow, where both are there.
    device: where to compute.
    set: settings of the methods, such as train.iterations=500, for every run.
    executor: `local` runs processes on this machine, `ray` on a Ray cluster.
    workers: runs at the same time; by default what cores and memory allow.
"""


def protocol_command(benchmark: Benchmark) -> Callable[..., None]:
    """Return the command of a protocol: the options of every protocol, and those choices that it leaves."""

    def command(
        data: Path,
        output: Annotated[Path, arg(aliases=["-o"])],
        methods: tuple[str, ...] = ("quality",),
        preset: Literal["quick", "standard", "full"] = "standard",
        views: tuple[int, ...] = (),
        seeds: int = 1,
        scenes: tuple[str, ...] = (),
        downscale: float | None = None,
        part: Literal["development", "test"] | None = None,
        device: Literal["auto", "cpu", "cuda"] = "auto",
        set: tuple[str, ...] = (),
        executor: Literal["local", "ray"] = "local",
        workers: int | None = None,
    ) -> None:
        from recon.benchmark.request import Request
        from recon.benchmark.run import run_benchmark

        run_benchmark(
            Request(
                protocol=benchmark.name,
                data=data,
                output=output,
                methods=methods,
                preset=preset,
                views=views,
                seeds=seeds,
                scenes=scenes,
                downscale=downscale,
                part=part,
                device=device,
                settings=set,
                executor=executor,
                workers=workers,
            )
        )

    absent = {"views", "downscale", "part"}.difference(benchmark.choices)
    signature = inspect.signature(command, eval_str=True)
    kept = [parameter for name, parameter in signature.parameters.items() if name not in absent]
    command.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in kept}
    views = " ".join(map(str, benchmark.views))
    command.__doc__ = f"{benchmark.summary}\n\n{ARGUMENTS.format(data=benchmark.data, views=views)}"
    command.__name__ = benchmark.name
    return command


def table(folder: Positional[Path], /) -> None:
    """Write a benchmark folder's tables again from its results.json.

    Args:
        folder: made by `recon benchmark`.
    """
    from recon.benchmark.tables import write_tables

    for path in write_tables(folder):
        print(f"wrote {path}")


def compare(a: Positional[Path], b: Positional[Path], /) -> None:
    """Compare two benchmark folders scene by scene and seed by seed: paired differences with a confidence interval.

    Args:
        a: made by `recon benchmark`; FOLDER:METHOD picks one method where it has several.
        b: another one, by the same protocol, or another method of the same folder; what is better in it counts as a
            gain.
    """
    from recon.benchmark.comparison import compare as compare_folders

    print(compare_folders(a, b))


COMMANDS: dict[str, Callable[..., None]] = {
    **{name: protocol_command(load_benchmark(name)) for name in benchmark_names()},
    "table": table,
    "compare": compare,
}

Command = Union[  # noqa: UP007 (made from the protocols that there are)
    tuple(Annotated[None, subcommand(name=name, constructor=made)] for name, made in COMMANDS.items())
]


def benchmark(command: OmitSubcommandPrefixes[Any]) -> None:
    """Measure methods by the rules of a benchmark, over scenes, numbers of views and seeds."""


benchmark.__annotations__["command"] = OmitSubcommandPrefixes[Command]  # type: ignore[misc]
