"""What a check found: faults, which a submission must not have, and warnings, which it may."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SHOWN_PER_KIND = 30
"""So many findings of a kind are printed one by one; a zip of ten thousand stray files shall not scroll for minutes."""

LONGEST_NAME = 120
"""Longer names from inside a zip are cut when they are printed."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a submission.

    Attributes:
        kind: what it is in two or three words, such as "missing view".
        file: name inside the zip that it is about.
        sentence: what was found, what was expected, what to do.
        warning: whether it may stay as it is.
    """

    kind: str
    file: str
    sentence: str
    warning: bool = False

    def __str__(self) -> str:
        return (
            f"{'warning' if self.warning else 'fault'}: {printable(self.file)}: {self.kind}: {self.sentence}"
        )


@dataclass(frozen=True)
class HalfCount:
    """How much of a half (DTU or Synthetic) a submission holds."""

    scenes: int
    scenes_asked: int
    pictures: int
    pictures_asked: int

    def __str__(self) -> str:
        if not self.scenes:
            return "not in the zip; that is allowed, the halves are scored separately"
        return (
            f"{self.scenes} of {self.scenes_asked} scenes, "
            f"{self.pictures} of {self.pictures_asked} pictures are as they should be"
        )


@dataclass(frozen=True)
class Verdict:
    """What the check of one zip came to."""

    path: Path
    benchmark: str
    halves: dict[str, HalfCount]
    findings: tuple[Finding, ...]

    @property
    def faults(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if not finding.warning)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.warning)

    @property
    def passed(self) -> bool:
        return not self.faults

    def lines(self) -> list[str]:
        """Return what a person is told: every finding, then the summary, then the verdict."""
        counted = f"{_count(len(self.faults), 'fault')}, {_count(len(self.warnings), 'warning')}"
        return [
            *_shortened([*self.faults, *self.warnings]),
            f"{self.path.name} as a submission to {self.benchmark}",
            *(f"  {half}: {count}" for half, count in self.halves.items()),
            f"verdict: {'valid' if self.passed else 'NOT valid, mend the faults before submitting'} ({counted})",
        ]


def printable(name: str) -> str:
    """Return a name from inside a zip so that it can be printed on any terminal: it may hold anything."""
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
    return safe if len(safe) <= LONGEST_NAME else f"{safe[:LONGEST_NAME]}…"


def _shortened(findings: Iterable[Finding]) -> list[str]:
    lines: list[str] = []
    seen: Counter[tuple[str, bool]] = Counter()
    for finding in findings:
        key = (finding.kind, finding.warning)
        seen[key] += 1
        if seen[key] <= SHOWN_PER_KIND:
            lines.append(str(finding))
    for (kind, warning), number in seen.items():
        if number > SHOWN_PER_KIND:
            lines.append(
                f"{'warning' if warning else 'fault'}: {kind}: … and {number - SHOWN_PER_KIND} more of this kind"
            )
    return lines


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
