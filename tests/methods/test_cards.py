"""Each method has a card in docs/methods whose facts are those of the code."""

import re
from pathlib import Path

import pandas as pd
import pytest
import torch

import bench
from bench.core.registry import entries
from bench.training.config import build
from bench.training.method import Task

CARDS = Path(__file__).parents[2] / "docs" / "methods"
METHODS = [name for name, entry in entries("methods").items() if entry.origin == "built in"]
THREE_DOMAINS = ("mnm-zero-pair", "pix2pix-cascade")
FIVE_CLASSES = ("sdit", "stargan")  # so their cards count; with two the networks are smaller
OTHER_SIZES = {"drit": {"dis_content"}, "udit": {"judge"}}  # counted in the card for other images or classes


def card(name: str) -> str:
    path = CARDS / f"{name}.md"
    assert path.exists(), f"write docs/methods/{name}.md: paper, needs, presets, parameters, departures, what it showed"
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", METHODS)
def test_a_card_names_kind_and_presets_and_says_what_the_method_showed(name: str) -> None:
    text, facts = card(name), entries("methods")[name].facts
    assert text.startswith(f"# {name}")
    assert facts["kind"] in text
    assert [preset for preset in facts["presets"] if f"| `{preset}` |" not in text] == []
    assert "## What it showed here" in text


@pytest.mark.parametrize("name", METHODS)
def test_a_card_counts_the_parameters_of_the_papers_networks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cls = entries("methods")[name].load()
    config = build(cls.Config, cls.presets, "paper", ["classes=labels"] if name in FIVE_CLASSES else [])
    monkeypatch.setattr("bench.methods.deepi2i.orthogonal_init", lambda network: None)  # not for meta tensors
    task = Task(config.resolution, 1000, 100, 4 if name in FIVE_CLASSES else 5)
    if name in THREE_DOMAINS:
        task = Task(config.resolution, 1000, 100, 5, 3, ("source", "target", "anchor"), ("depth", "labels", "rgb"))
    with torch.device("meta"):
        model = cls(task, config)
    counts = {key: f"{sum(p.numel() for p in network.parameters()):,}" for key, network in model.networks.items()}
    known = card(name)
    assert {k: n for k, n in counts.items() if n not in known and k not in OTHER_SIZES.get(name, ())} == {}


def test_there_is_no_card_without_a_method() -> None:
    assert {path.stem for path in CARDS.glob("*.md")} == set(METHODS)


@pytest.fixture(scope="module")
def on_ink() -> pd.DataFrame:
    runs = bench.load_results(CARDS.parents[1] / "results" / "reference")
    return runs[(runs.dataset == "ink") & (runs.target_size == 1000) & (runs.seed == 0)].set_index("method")


def test_a_cards_scores_are_those_of_the_records(on_ink: pd.DataFrame) -> None:
    number = r"(\d\.\d\d)"
    pair = f"{number} and {number}"
    scores = re.compile(f"`translated` is {number} and `truth_retrieved` {number}; .* have {pair}, .* {pair}")
    told = {name: scores.search(" ".join(card(name).split())) for name in METHODS}
    rows = {name: (name, "identity", "truth") for name, found in told.items() if found}
    assert len(rows) >= 15
    for name, of in rows.items():
        wanted = [f"{on_ink.loc[row, metric]:.2f}" for row in of for metric in ("translated", "truth_retrieved")]
        assert list(told[name].groups()) == wanted, name  # type: ignore[union-attr]


def test_every_method_says_what_it_showed() -> None:
    assert [name for name in METHODS if "Not measured yet" in card(name)] == []
