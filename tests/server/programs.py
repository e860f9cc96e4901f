"""Programs that the tests start and end as a person does."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import recon


def start_program(arguments, folder: Path, **options) -> subprocess.Popen:
    """Run Python in `folder` with the recon that is tested, listening to Ctrl-C even where these tests do not."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(recon.__file__).parents[1])},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **options,
    )
