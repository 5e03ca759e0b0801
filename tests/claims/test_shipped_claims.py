"""The claims that ship: their files are sound, and the page says what the records say."""

import subprocess
import sys
from collections import Counter
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


# Rows of README's table of claims: claim, comparison, its factor and what is added, decimals.
README_ROWS = [
    ("balagan-modes", 0, -1, 0.0, 2),
    ("batch-weight-digits", 0, 1, 0.0, 2),
    ("batch-weight-shoes", 0, 1, 0.0, 2),
    ("mnm-unseen-pair", 0, 1, 0.0, 1),
    ("mnm-unseen-pair", 5, -1, 0.0, 1),
    ("deepi2i-transfer", 0, -1, 0.0, 2),
    ("sdit-diversity", 2, 1, 0.0, 2),
]


def test_the_numbers_of_readmes_claims_are_those_of_the_records() -> None:
    find = find_record(CLAIMS / "records", pytest.fail)
    judged = {claim.id: judge(claim, find) for claim in SHIPPED}
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = [line for line in text.splitlines() if line.startswith("| ") and ": " in line.split("|")[1]]
    assert len(table) == len(README_ROWS)
    for line, (claim, row, factor, added, decimals) in zip(table, README_ROWS):
        finding = judged[claim].findings[row]
        assert finding.gap is not None
        low, high = sorted(factor * (end + added) for end in (finding.gap.low, finding.gap.high))
        _, _, measured, interval, _ = line.split("|")
        assert measured.split(":")[-1].strip() == finding.word
        assert measured.strip().startswith(f"{factor * (finding.gap.mean + added):.{decimals}f}")
        assert interval.strip() == f"{low:.{decimals}f} to {high:.{decimals}f}"
    words = Counter(finding.word for one in judged.values() for finding in one.findings)
    counts = f"{len(judged)} claims with {words.total()} comparisons"
    outcome = f"{words['shown']} are shown, {words['contradicted']} contradicted and {words['not shown']} not shown"
    assert counts in " ".join(text.split())
    assert outcome in " ".join(text.split())
    assert "not yet run" not in words
