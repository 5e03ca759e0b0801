"""What a run cost, in what a busy machine does not change: compute, and the time of its processors."""

from bench.runs.record import Record


def tflop(record: Record) -> float | None:
    """10^12 floating-point operations of training and of what was prepared for it; None where they were not counted."""
    trained = record.cost.train_flop
    return None if trained is None else (trained + (record.cost.prepare_flop or 0)) / 1e12


def cpu_seconds(record: Record) -> float | None:
    """Of all threads, in the steps of the training; None where they were not measured."""
    return record.cost.train_cpu_seconds
