"""The notebook of the docs runs from its first cell to its last, with tiny budgets in place of its parameters."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[2] / "docs" / "notebooks"
TINY = '\nPRESET, BUDGET, METRICS = "smoke", 0.016, ["kd_effnet"]'


def test_own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(NOTEBOOKS / "own-data.ipynb", as_version=4)
    (parameters,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    parameters.source += TINY
    (tmp_path / "work").mkdir()
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path / "work")}}).execute()
    said = {cell.id: "".join(str(output) for output in cell.get("outputs", [])) for cell in notebook.cells}
    assert "{'source': 200, 'target': 50}" in said["cell-03"]
    assert said["cell-07"].count("'done'") == 4
    assert all(name in said["cell-09"] for name in ("identity", "cyclegan", "munit", "cut", "kd_effnet"))
    assert said["cell-11"].count("image/png") == 4
    assert "(4, 64, 64, 3) -> (4, 32, 32, 3)" in said["cell-13"]


def test_it_is_kept_without_outputs() -> None:
    for path in NOTEBOOKS.glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)
