"""What it costs a training to be watched.

    python benchmarks/live_view.py

Trains the bundled sample with the quick preset and compares blocks of iterations with a page connected (a second
process, which takes every frame and acknowledges it at once) with blocks without, in the order without, with, with,
without. Two numbers come out: the ratio of wall time, which is what a person feels but which other work on the machine
disturbs, and the ratio of this process's processor time on all of its threads (training, encoding, sending), which is
steadier and bounds the slow-down of a training that keeps every core busy. Last, the processor time of one frame by
itself, and what the feed's three frames a second make of it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from hardware import header

from recon.methods.open_inputs import open_inputs
from recon.methods.options import ReconstructOptions, resolve
from recon.methods.pipeline import method_module
from recon.methods.stereo_inputs import stereo_inputs
from recon.run_folder import RunFolder
from recon.server.access import Access
from recon.server.app import create_app
from recon.server.live_feed import LiveFeed
from recon.server.live_training import SECONDS_PER_FRAME, LiveTraining
from recon.server.page_files import PageFile
from recon.server.running import running
from recon.server.session import Stage, live_session
from recon.train import Trainer

SAMPLE = Path(__file__).parent.parent / "data" / "sample" / "tabletop"

PAGE = """
import sys
from websockets.sync.client import connect
address, origin = sys.argv[1:]
for line in sys.stdin:
    frames = received = 0
    with connect(address, origin=origin, max_size=None) as feed:
        print("connected", flush=True)
        while line.strip() != "leave":
            message = feed.recv()
            if isinstance(message, str):
                if '"state": "paused"' in message:
                    break
                continue
            received += len(message)
            frame, total, first, rows = (int.from_bytes(message[i : i + 4], "little") for i in (8, 12, 16, 20))
            if first + rows == total:
                frames += 1
                feed.send('{"type": "ack", "frame": %d}' % frame)
    print(frames, received, flush=True)
"""


@dataclass
class Block:
    """Seconds per iteration."""

    wall: float
    processor: float
    frames: int = 0
    megabytes: float = 0.0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--blocks", type=int, default=12, help="blocks in all, a multiple of 4")
    parser.add_argument("--iterations", type=int, default=25, help="iterations per block")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trainer, watcher = compose(Path(folder))
        blocks = measure(trainer, watcher, arguments.blocks, arguments.iterations)
        copied, whole = frame_cost(trainer, watcher)
    print(header(), end="\n\n")
    report(blocks, len(trainer.gaussians))
    share = whole / SECONDS_PER_FRAME / (os.cpu_count() or 1)
    print(
        f"\none frame: {copied * 1e3:.1f} ms of processor time on the training's thread, {whole * 1e3:.1f} ms on all; "
        f"three a second take {share:.1%} of this machine's {os.cpu_count()} cores"
    )
    return 0


def compose(folder: Path) -> tuple[Trainer, LiveTraining]:
    """Return the trainer of `recon reconstruct data/sample/tabletop --preset quick`, watched."""
    settings = resolve(
        ReconstructOptions(
            photos=SAMPLE, output=folder, split=SAMPLE / "split.json", preset="quick", device="cpu"
        )
    )
    scene = open_inputs(settings, RunFolder(folder))
    inputs = stereo_inputs(scene.train_views, settings.stereo_config, bounds=scene.bounds)
    trainer = method_module(settings.method).compose(inputs, settings.method_config, 0, torch.device("cpu"))
    watcher = LiveTraining(LiveFeed(), Stage(live_session(None, scene)))
    watcher.training(trainer)
    return trainer, watcher


class Page:
    """A page in a process of its own, which comes and leaves."""

    def __init__(self, process: subprocess.Popen[str], feed: LiveFeed) -> None:
        self._process = process
        self._feed = feed

    def come(self) -> None:
        self._feed.publish(state="running")  # what it is told first must not be the sign to leave
        print("come", file=self._process.stdin, flush=True)
        self._process.stdout.readline()  # type: ignore[union-attr]
        wait_until(lambda: self._feed.clients == 1)

    def leave(self) -> tuple[int, int]:
        """Return the frames and bytes that arrived."""
        self._feed.publish(state="paused")  # the page's sign to leave
        frames, received = map(int, self._process.stdout.readline().split())  # type: ignore[union-attr]
        wait_until(lambda: self._feed.clients == 0)
        return frames, received


@contextmanager
def a_page(watcher: LiveTraining) -> Iterator[Page]:
    """Serve a watched training, and start a page that has not come yet."""
    access = Access()
    app = create_app(watcher.stage, access, {"index.html": PageFile(b"", "text/html")}, watcher.feed)
    with running(app, "127.0.0.1", 0, access) as address:
        command = [
            sys.executable,
            "-c",
            PAGE,
            address.replace("http", "ws") + "api/live",
            address.rstrip("/"),
        ]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            yield Page(process, watcher.feed)
        finally:
            process.kill()


def measure(trainer: Trainer, watcher: LiveTraining, blocks: int, iterations: int) -> dict[bool, list[Block]]:
    """Run the blocks; true stands for those with a page connected."""
    measured: dict[bool, list[Block]] = {False: [], True: []}
    with a_page(watcher) as page:
        advance(trainer, watcher, iterations)  # warm up
        for number in range(blocks):
            connected = number % 4 in (1, 2)
            if connected:
                page.come()
            block = advance(trainer, watcher, iterations)
            if connected:
                block.frames, received = page.leave()
                block.megabytes = received / 1e6
            measured[connected].append(block)
            print(f"block {number + 1}/{blocks}: {block.wall * 1e3:.0f} ms per iteration", file=sys.stderr)
    return measured


def frame_cost(trainer: Trainer, watcher: LiveTraining, frames: int = 20) -> tuple[float, float]:
    """Return the processor seconds of one frame: copied (on the training's thread), and in all until acknowledged."""
    with a_page(watcher) as page:
        page.come()
        copying, started = 0.0, time.process_time()
        for _ in range(frames):
            last = watcher.feed.frame
            before = time.thread_time()
            watcher.make_frame(trainer)
            copying += time.thread_time() - before
            wait_until(lambda last=last: watcher.feed.frame is not last and watcher.feed.frame_wanted)
        return copying / frames, (time.process_time() - started) / frames


def advance(trainer: Trainer, watcher: LiveTraining, iterations: int) -> Block:
    """Do some iterations as `Trainer.run` does them."""
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(iterations):
        loss, step = trainer.step()
        watcher.after_step(trainer, loss, step)
    return Block((time.perf_counter() - wall) / iterations, (time.process_time() - processor) / iterations)


def report(blocks: dict[bool, list[Block]], gaussians: int) -> None:
    """Print the table."""
    alone, watched = blocks[False], blocks[True]
    frames, megabytes = sum(b.frames for b in watched), sum(b.megabytes for b in watched)
    print(f"{gaussians} Gaussians; {frames} frames of {megabytes / max(frames, 1):.1f} MB were sent\n")
    print("| per iteration | alone | watched | ratio |")
    print("|---|---|---|---|")
    for name, key in (("wall time", "wall"), ("processor time", "processor")):
        a, w = ([getattr(block, key) for block in group] for group in (alone, watched))
        for kind, of in (("median", statistics.median), ("minimum", min)):
            print(f"| {name}, {kind} | {of(a) * 1e3:.1f} ms | {of(w) * 1e3:.1f} ms | {of(w) / of(a):.3f} |")


def wait_until(condition) -> None:
    while not condition():
        time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(main())
