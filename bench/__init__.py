"""The harness of the benchmark; it knows no method and no data set by name.

`bench.methods` and `bench.datasets` are the folders methods/ and datasets/ beside this one in a checkout, and
sub-packages in an installed wheel: either way the top-level names `methods` and `datasets` stay free.
"""

from pathlib import Path

__version__ = "0.1.0"

_beside = Path(__file__).resolve().parent.parent
if (_beside / "methods").is_dir() and (_beside / "pyproject.toml").is_file():
    __path__.append(str(_beside))
