"""Python runs this file at its start where this folder is on PYTHONPATH: it puts a bug into the processes `bench run`.

I2I_BENCH_TEST_BUG names the bug. A bug that cannot be put in ends the process, so that no check passes without it.
"""

import os
import sys

if os.environ.get("I2I_BENCH_TEST_BUG") and sys.orig_argv[1:4] == ["-m", "bench", "run"]:
    try:
        import bugs

        bugs.BUGS[os.environ["I2I_BENCH_TEST_BUG"]]()
    except BaseException as error:
        print(f"the bug was not put in: {error!r}", flush=True)
        os._exit(99)
