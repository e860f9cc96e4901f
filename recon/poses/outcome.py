"""One mapping attempt with everything that is known about it, while the ladder is climbed."""

from collections.abc import Sequence
from dataclasses import dataclass

from recon.poses.estimate import Attempt
from recon.poses.evidence import Evidence
from recon.poses.mapping import Model, Strategy
from recon.poses.verdict import Verdict


@dataclass(frozen=True, eq=False)
class Outcome:
    """One attempt with its model, kept while the ladder is climbed."""

    strategy: Strategy
    model: Model | None
    evidence: Evidence | None
    verdict: Verdict | None
    attempt: Attempt

    @property
    def certified(self) -> bool:
        return self.verdict is not None and self.verdict.level == "certified"

    @property
    def size(self) -> int:
        return len(self.model.photos) if self.model else 0


def most_believable(outcomes: Sequence[Outcome]) -> Outcome | None:
    """Return the outcome to show when none is certified: plausible first, then more photos, then better evidence."""

    def merit(outcome: Outcome) -> tuple[bool, int, float]:
        plausible = outcome.verdict is not None and outcome.verdict.level == "plausible" and outcome.size > 2
        return plausible, outcome.size, outcome.evidence.worst_split_explained if outcome.evidence else 0.0

    return max((outcome for outcome in outcomes if outcome.model), key=merit, default=None)
