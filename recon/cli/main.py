"""The `recon` program."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from recon.errors import ReconError


def main(arguments: list[str] | None = None) -> None:
    """Run a command; a user's mistake ends in a sentence on standard error and exit status 2."""
    import tyro

    from recon.cli.benchmark import benchmark
    from recon.cli.doctor import doctor
    from recon.cli.evaluate import evaluate
    from recon.cli.export import export
    from recon.cli.models import models
    from recon.cli.reconstruct import reconstruct
    from recon.cli.serve import serve
    from recon.cli.stream import stream
    from recon.cli.submit import submit
    from recon.cli.synth import synth
    from recon.cli.synth_spare import synth_spare
    from recon.cli.view import view

    commands: dict[str, Callable[..., Any]] = {
        "reconstruct": reconstruct,
        "evaluate": evaluate,
        "benchmark": benchmark,
        "view": view,
        "serve": serve,
        "export": export,
        "submit": submit,
        "stream": stream,
        "synth": synth,
        "models": models,
        "doctor": doctor,
    }
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if arguments[:2] == ["synth", "spare"]:  # a command of its own, where `synth` expects a recipe's name
            tyro.cli(synth_spare, prog="recon synth spare", args=arguments[2:])
            return
        tyro.extras.subcommand_cli_from_dict(
            commands, prog="recon", description="Turn a few photos into a 3D scene.", args=arguments
        )
    except ReconError as error:
        print(f"recon: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print(
            "recon: interrupted; the same command goes on where it stopped, "
            "`recon reconstruct` and `recon stream encode` with --resume",
            file=sys.stderr,
        )
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
