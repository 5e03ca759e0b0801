"""The harness of the benchmark; it knows no method and no data set by name.

`bench.methods` and `bench.datasets` are the folders methods/ and datasets/ beside this one in a checkout, and
sub-packages in an installed wheel: either way the top-level names `methods` and `datasets` stay free.
"""

import importlib.machinery
import importlib.util
import sys
from pathlib import Path

import lazy_loader

__version__ = "0.1.0"

# The names of __init__.pyi: what a method, a data set or a script may use. Nothing is imported before it is asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def _expose(name: str, folder: Path) -> None:
    """Makes a folder of the checkout importable as bench.NAME, and nothing else of the checkout."""
    spec = importlib.machinery.ModuleSpec(f"{__name__}.{name}", None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    globals()[name] = module


_checkout = Path(__file__).resolve().parent.parent
if (_checkout / "pyproject.toml").is_file() and (_checkout / "methods").is_dir():
    for _name in ("methods", "datasets"):
        _expose(_name, _checkout / _name)
