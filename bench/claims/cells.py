"""The runs that claims ask for. Claims that ask for the same run share it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.claims.claim import Arm, Claim
from bench.core.files import digest
from bench.launch.grid import GridCell
from bench.runs.request import RunRequest
from bench.statistics.estimate import Replicate
from bench.training.config import spell


@dataclass(frozen=True)
class ArmCell:
    """One run of an arm: at which size, and which replicate of it."""

    arm: str
    size: int
    replicate: Replicate
    request: RunRequest


def arm_cells(claim: Claim) -> Iterator[ArmCell]:
    """Every run of a claim, arm by arm."""
    for name, arm in claim.arms.items():
        for size in claim.sizes:
            for subset_seed in claim.subset_seeds:
                for seed in claim.seeds:
                    yield ArmCell(name, size, (subset_seed, seed), _request(claim, arm, size, subset_seed, seed))


def grid_cells(chosen: Sequence[Claim], every: Sequence[Claim]) -> list[GridCell]:
    """Each run of the chosen claims once, with all metrics that any claim wants of it."""
    wanted: dict[RunRequest, dict[str, None]] = {}
    for claim in every:
        for cell in arm_cells(claim):
            wanted.setdefault(cell.request, {}).update(dict.fromkeys(claim.metrics))
    requests = dict.fromkeys(cell.request for claim in chosen for cell in arm_cells(claim))
    return [GridCell(request, tuple(wanted[request])) for request in requests]


def name_of(request: RunRequest) -> str:
    """Equal for equal runs; changes with every field that a claim's file names for it."""
    return digest(vars(request))[:16]


def _request(claim: Claim, arm: Arm, size: int, subset_seed: int, seed: int) -> RunRequest:
    fields = {**claim.set, **arm.set}
    return RunRequest(
        arm.method,
        arm.dataset or claim.dataset,
        size,
        seed,
        subset_seed,
        preset=arm.preset or claim.preset,
        settings=tuple(f"{name}={spell(value)}" for name, value in fields.items()),
        resolution=claim.resolution,
        budget_tflop=claim.budget.tflop,
    )
