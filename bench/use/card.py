"""`bench card`: a model card in the form of the Hugging Face Hub, a README.md with metadata, made from a record."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import jinja2

from bench.data.dataset import Dataset
from bench.data.find import make
from bench.leaderboard import numbers
from bench.metrics.data import Value
from bench.runs.record import Record

HERE = Path(__file__).parent
# Licences of the Hub's list, https://huggingface.co/docs/hub/repositories-licenses, as our data sets spell them.
HUB_LICENSES = {
    "mit": "mit",
    "cc-by 4.0": "cc-by-4.0",
    "cc by 4.0": "cc-by-4.0",
    "cc0": "cc0-1.0",
    "apache 2.0": "apache-2.0",
}


def card(record: Record) -> str:
    """The text of README.md: what was trained on what, how well by which metrics, how it is used, which licence.

    Raises UserError where the data set of the record is not known here.
    """
    from bench.core.registry import find

    identity = record.identity
    facts = find("methods", identity.method).facts
    dataset = make(identity.dataset)
    data = _public(identity.dataset, dataset)
    template = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    ).from_string((HERE / "card.md.j2").read_text(encoding="utf-8"))
    measured = {name: value for name, value in record.metrics.items() if value.value is not None}
    return template.render(
        title=_line(f"{identity.method} on {data}, {identity.target_size} target images"),
        license=HUB_LICENSES.get(dataset.license.lower(), "other"),
        data_license=_line(dataset.license),
        homepage=_line(dataset.homepage),
        summary=_line((type(dataset).__doc__ or "").split("\n")[0]),
        paper=_line(str(facts.get("paper", "unknown"))),
        data=data,
        identity=identity,
        task=record.task,
        config=record.config,
        cost=record.cost,
        provenance=record.provenance,
        primary=record.task.primary,
        metrics=[_row(name, value) for name, value in measured.items()],
        missing={name: _line(value.reason or "") for name, value in record.metrics.items() if value.value is None},
        raw={name: _plain(value.value) for name, value in measured.items() if value.value is not None},
    )


def _public(name: str, dataset: Dataset) -> str:
    """The name of a data set; of own data without the folders above theirs, which are nobody else's business."""
    root = dataset.embedded()
    return name if root is None else name.replace(str(root), root.name)


def _row(name: str, value: Value) -> dict[str, Any]:
    times = numbers.scale(name)
    low, high = (None if edge is None else numbers.number(edge * times) for edge in (value.low, value.high))
    assert value.value is not None
    return {
        "name": numbers.name(name),
        "value": numbers.number(value.value * times),
        "interval": f"{low} to {high}" if low is not None and high is not None else "none",
        "n": f"{value.n_gen} / {value.n_ref}",
    }


def _plain(value: float) -> str:
    """Without an exponent, which YAML 1.1 reads as text where no point stands before it."""
    return f"{Decimal(repr(float(value))):f}"


def _line(text: str) -> str:
    """One line without what would be markup in Markdown or in a table."""
    return re.sub(r"([|<>`*_\[\]\\])", r"\\\1", " ".join(text.split()))
