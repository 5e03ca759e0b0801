"""What people say, asked by `bench study`."""

from bench.metrics.data import Undefined, Value
from bench.metrics.measurement import Measurement
from bench.metrics.registry import metric


@metric(better="higher", range=(0, 100), default=False)
def user_preference_pct(m: Measurement) -> Value:
    """How often people prefer this run's translations, in percent of the questions that show them (`bench study`)"""
    raise Undefined("asked of people: python -m bench study build --runs ...")
