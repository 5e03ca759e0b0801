"""A grid and an entry of a baseline, small enough to compare by hand."""

from bench.regress.baseline import BaselineEntry, CheckedMethod, CheckGrid, Measured

SEEDS = (0, 1, 2, 3, 4)
GRID = CheckGrid(
    dataset="emoji",
    target_size=125,
    resolution=32,
    preset="cpu",
    device="cpu",
    metrics=("kd_effnet",),
    seeds=(0, 1),
    confirm_seeds=(100, 101),
    baseline_seeds=SEEDS,
    family_error=0.01,
    tolerance={"cost/speed": 0.3},
    methods={"cyclegan": CheckedMethod(0.8, ("width=8",))},
)
ENTRY = BaselineEntry(
    how={"commit": "abc", "packages": {"torch": "2"}},
    config={"width": 8},
    seeds=SEEDS,
    values={"kd_effnet": Measured(1, (0.1, 0.25, 1 / 3, 0.4, 1e-17)), "loss/D": Measured(1, (1.0,) * 5)},
)
