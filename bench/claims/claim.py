"""results/claims/<paper>.toml: the claims of one paper.

    paper = "Few-Shot ..., Author et al., 2021"
    url = "https://..."

    [[claims]]
    id = "method-modes"
    sentence = "What the paper says."
    where = "table 2"
    dataset = "ink"
    sizes = [125, 1000]
    seeds = [0, 1, 2]
    budget = { tflop = 1.0 }
    notes = "What was tried."

    [claims.arms]
    modes = { method = "balagan", set = { classes = "modes:8" } }
    none = { method = "balagan", set = { classes = "modes:1" } }

    [[claims.comparisons]]
    metric = "translated"
    arm = "modes"
    expected = "higher"
    than = "none"

A comparison is shown where the 95 % interval of the paired differences lies wholly on the expected side.
"""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct, field
from msgspec.structs import replace

from bench.core.errors import UserError, unknown
from bench.core.typed import Count, Size, read_typed
from bench.launch.grid import Compute, Word
from bench.metrics import find as find_metric

FOLDER = Path("results") / "claims"
Names = tuple[str, ...]
Sizes = Annotated[tuple[Size, ...], Meta(min_length=1)]
Seeds = Annotated[tuple[Count, ...], Meta(min_length=1)]


class Arm(Struct, frozen=True, forbid_unknown_fields=True):
    """A method with fields of its Config; `dataset`: another one than the claim's."""

    method: str
    set: dict[str, Word | list[Word]] = {}
    dataset: str | None = None
    preset: str | None = None


class Comparison(Struct, frozen=True, forbid_unknown_fields=True):
    """`arm` is `expected` than `than` on a metric, at each size.

    than      another arm, or a number
    expected  higher or lower, whatever of the two is the better one
    times     the other arm's values are multiplied by this: at least ten times as high
    margin    the arm may miss the other by less than this: at most 0.05 lower
    more_at   a target size: the difference is larger there than at each other size. Then it is the difference of the
              two differences that is tested
    sizes     at which of the claim's target sizes; by default at all
    says      the expectation in words, where those that are made of the keys are not clear
    """

    metric: str
    arm: str
    expected: Literal["higher", "lower"]
    than: str | float
    times: float = 1.0
    margin: Annotated[float, Meta(ge=0)] = 0.0
    more_at: int | None = None
    sizes: Sizes | None = None
    says: str | None = None

    def words(self) -> str:
        """The expectation as a phrase: "translated of modes higher than that of none, by more at 125"."""
        if self.says:
            return self.says
        other = self.than if isinstance(self.than, str) else f"{self.than:g}"
        if self.times != 1:
            other = f"{self.times:g} times {other}"
        by = f"at most {self.margin:g} {'lower' if self.expected == 'higher' else 'higher'}" if self.margin else ""
        more = f", and by more at {self.more_at}" if self.more_at is not None else ""
        return f"{self.metric}: {self.arm} {by or self.expected} than {other}{more}"


class Claim(Struct, frozen=True, forbid_unknown_fields=True):
    """One sentence of a paper, and how it is tested.

    sentence  what the paper says; where: its table, figure or section
    set       fields of the Config of every arm; an arm's own come on top
    also      metrics that are measured and reported beside those of the comparisons
    notes     what was tried, what the setting leaves out
    """

    id: str
    sentence: str
    where: str
    dataset: str
    sizes: Sizes
    seeds: Seeds
    arms: dict[str, Arm]
    comparisons: Annotated[tuple[Comparison, ...], Meta(min_length=1)]
    budget: Compute
    subset_seeds: Seeds = (0,)
    preset: str = "cpu"
    resolution: Size = 32
    set: dict[str, Word | list[Word]] = {}
    also: Names = ()
    notes: str = ""
    paper: str = ""  # of its file

    @property
    def metrics(self) -> list[str]:
        """All that its runs are measured by, each once."""
        return list(dict.fromkeys([*(comparison.metric for comparison in self.comparisons), *self.also]))

    def check(self) -> None:
        """Raises UserError for a name that is not there."""
        for metric in self.metrics:
            find_metric(metric)
        for comparison in self.comparisons:
            for arm in (comparison.arm, comparison.than):
                if isinstance(arm, str) and arm not in self.arms:
                    raise unknown("arm", arm, self.arms, mend=f"(claim {self.id})")
            for size in (*(comparison.sizes or ()), *(() if comparison.more_at is None else (comparison.more_at,))):
                if size not in self.sizes:
                    raise UserError(f"claim {self.id} compares at {size}, which is not among its sizes")


class Paper(Struct, frozen=True, forbid_unknown_fields=True):
    """A file: what all its claims have in common, and these."""

    paper: str
    claims: Annotated[list[Claim], Meta(min_length=1)]
    url: str = ""
    schema: Literal[1] = field(default=1)


def read_claims(folder: Path, only: Names = ()) -> list[Claim]:
    """The claims of all files of a folder, in the order of the files' names; of those named in `only` alone, if any.

    Raises UserError for a damaged file, for a name that is there twice or not at all, and where there is no file.
    """
    papers = [read_typed(path, Paper, "docs/claims.md shows the keys") for path in sorted(folder.glob("*.toml"))]
    claims = [_of(paper, claim) for paper in papers for claim in paper.claims]
    if not claims:
        raise UserError(f"{folder} holds no claims; they are files such as {FOLDER / 'balagan.toml'}")
    for claim in claims:
        claim.check()
    names = [claim.id for claim in claims]
    for twice in {name for name in names if names.count(name) > 1}:
        raise UserError(f"two claims in {folder} have the id {twice!r}; rename one")
    for name in only:
        if name not in names:
            raise unknown("claim", name, names)
    return [claim for claim in claims if not only or claim.id in only]


def _of(paper: Paper, claim: Claim) -> Claim:
    return replace(claim, paper=paper.paper)
