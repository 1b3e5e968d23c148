"""The benchmarks of builds measure what they name."""

import pytest

from benchmarks.builds import startup
from sandbox.builds.worker import Worker

pytestmark = pytest.mark.builds


def test_each_phase_of_a_job_takes_time(worker: Worker) -> None:
    measured = startup.measure(runs=1)
    assert not [phase for phase, milliseconds in measured.items() if milliseconds <= 0], measured
