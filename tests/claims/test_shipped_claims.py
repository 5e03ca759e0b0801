"""The claims that ship: their files are sound, and the page says what the records say."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.claims import report
from bench.claims.cells import arm_cells
from bench.claims.claim import Claim, read_claims
from bench.claims.judge import judge
from bench.claims.kept import find_record
from bench.runs.request import specify

ROOT = Path(__file__).resolve().parent.parent.parent
CLAIMS = ROOT / "results" / "claims"
SHIPPED = read_claims(CLAIMS)


def test_the_page_of_the_docs_is_that_of_the_records() -> None:
    """Where this fails: python -m bench claims report --page docs/claims.md"""
    find = find_record(CLAIMS / "records", pytest.fail)
    assert (ROOT / "docs" / "claims.md").read_text() == report.page([judge(claim, find) for claim in SHIPPED])


@pytest.mark.parametrize("claim", SHIPPED, ids=[claim.id for claim in SHIPPED])
def test_every_arm_has_fields_that_its_method_knows(claim: Claim) -> None:
    first = {cell.arm: cell.request for cell in reversed(list(arm_cells(claim)))}
    specs = {arm: specify(request, gpu=False, say=lambda line: None) for arm, request in first.items()}
    assert len({spec.config_hash for spec in specs.values()}) == len(claim.arms)
    assert {spec.resolution for spec in specs.values()} == {claim.resolution}


def test_looking_at_claims_does_not_import_torch() -> None:
    script = (
        "import sys; sys.argv = ['bench', 'claims', *sys.argv[1:]]\n"
        "from bench.cli.app import app\n"
        "try:\n    app()\nexcept SystemExit as end:\n    code = end.code\n"
        "assert not code, code\n"
        "assert 'torch' not in sys.modules, 'torch was imported'\n"
    )
    for words in (["list"], ["report", "--details"]):
        command = [sys.executable, "-c", script, *words, "--claims", str(CLAIMS)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert SHIPPED[0].id in done.stdout
