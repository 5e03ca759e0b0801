"""The promises of the method contract as tests, for our methods and for those of other packages.

    from bench.testing import conformance
    test_mine = conformance(MyMethod)

in a test file gives one pytest test a promise. They run the preset "smoke" where a method has one (the smallest
networks that make sense), else "cpu", on random images and the CPU. A case that a method refuses as Unfit is skipped
with that reason.

    tiny.py          data for tests
    case.py          a method on such data, ready to train
    translations.py  the promises, by what they are about
    learning.py
    sizes.py
    settings.py
    resuming.py      what two of them share
    suite.py         their order, and what runs them
"""

from bench.testing.case import BFLOAT16, CPU, Case, Check, Make
from bench.testing.suite import CHECKS, check, conformance
from bench.testing.tiny import tiny_task

__all__ = ["BFLOAT16", "CHECKS", "CPU", "Case", "Check", "Make", "check", "conformance", "tiny_task"]
