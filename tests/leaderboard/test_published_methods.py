"""The methods beside BalaGAN, DeepI2I and those of the thesis: what their papers tabulate stands beside our runs."""

import pytest

from bench.core.registry import entries
from bench.leaderboard import published
from bench.leaderboard.tables import published_table

OF_OURS = {  # the published name of the same method
    "cut": "cut",
    "dmit": "dmit",
    "drit": "drit",
    "ganhopper": "ganhopper",
    "icgan": "icgan",
    "minegan": "minegan",
    "pix2pix-cascade": "2x_pix2pix",
    "stargan": "stargan",
    "transfergan": "transfergan",
    "udit": "udit",
    "ugatit": "ugatit",
}


def shown(name: str) -> set[tuple[str, str]]:
    """(data set, label) of the rows of published tables that are of this method or of a variant of it."""
    found = set()
    for dataset in {figure.dataset for figure in published.figures()}:
        table = published_table(dataset, [])
        assert table is not None
        labels = {label for label, _ in table.rows}
        found |= {(dataset, label) for label in labels if label.split(" (")[0].split(":")[0] == name}
    return found


@pytest.mark.parametrize("name", OF_OURS)
def test_published_figures_of_a_method_are_shown_in_the_tables_of_their_data_sets(name: str) -> None:
    assert name in entries("methods")
    wanted = {figure.dataset for figure in published.figures() if figure.method.split(":")[0] == OF_OURS[name]}
    assert wanted and {dataset for dataset, _ in shown(OF_OURS[name])} == wanted
    assert all(label.endswith("(published)") for _, label in shown(OF_OURS[name]))


@pytest.mark.parametrize("name", ["unit", "nicegan"])
def test_methods_that_the_papers_show_in_pictures_alone_have_no_figures(name: str) -> None:
    """DeepI2I's figure 7 holds their figures as a picture, of which no number has been taken."""
    assert name in entries("methods") and not shown(name)
