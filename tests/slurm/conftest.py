"""One SLURM cluster for all tests of this folder; xdist runs them on one worker (see tests/conftest.py)."""

import os
from collections.abc import Iterator

import pytest
from slurm_cluster import Cluster, why_not


@pytest.fixture(scope="session")
def whole_session_cluster() -> Iterator[Cluster]:
    """Without SLURM the tests are skipped; in CI (I2I_BENCH_CI) they fail."""
    if reason := why_not():
        if os.environ.get("I2I_BENCH_CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    cluster = Cluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.clean()


@pytest.fixture
def cluster(whole_session_cluster: Cluster) -> Iterator[Cluster]:
    """The running cluster; jobs that a test leaves behind are cancelled."""
    yield whole_session_cluster
    whole_session_cluster.cancel_all()
