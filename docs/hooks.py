"""Pages of the site that are made from the code: every metric, every method with its presets."""

from typing import Any

from mkdocs.structure.files import File, Files

DIRECTION = {"lower": "lower is better", "higher": "higher is better", None: "no better side"}


def on_files(files: Files, config: Any) -> Files:
    """Adds the generated pages to those of docs/, and the cards of methods to the navigation's Methods page."""
    cards = {file.src_uri.split("/")[1].removesuffix(".md") for file in files if file.src_uri.startswith("methods/")}
    for file in files:
        if file.src_uri.startswith("methods/"):
            file.inclusion = file.inclusion.NOT_IN_NAV
    files.append(File.generated(config, "metrics.md", content=metrics()))
    files.append(File.generated(config, "methods.md", content=methods(cards)))
    return files


def metrics() -> str:
    """One row a metric, in the order of `bench list metrics`."""
    from bench.metrics import METRICS

    lines = [
        "# Metrics",
        "",
        "Made from the code, like `bench list metrics`. Tables show the stored value times the scale.",
        "",
        "| name | version | direction | range | scale | needs | what it is |",
        "|---|---|---|---|---|---|---|",
    ]
    for m in METRICS.values():
        summary = m.summary.replace("|", "\\|").replace("<", "&lt;")
        cells = [
            f"`{m.name}`",
            str(m.version),
            DIRECTION[m.better],
            f"{m.range[0]:g} to {m.range[1]:g}",
            f"{m.scale:g}",
        ]
        lines.append(f"| {' | '.join([*cells, ', '.join(m.needs), summary])} |")
    return "\n".join(lines) + "\n"


def methods(cards: set[str]) -> str:
    """One row a method; its name leads to its card where there is one."""
    from bench.core.registry import entries
    from bench.training.needs import KINDS, NEEDS, kind_of

    lines = [
        "# Methods",
        "",
        "Made from the code. `bench list presets` prints what each preset sets.",
        "",
        "| name | year | kind | needs | paper | presets |",
        "|---|---|---|---|---|---|",
    ]
    for entry in entries("methods").values():
        name = f"[`{entry.name}`](methods/{entry.name}.md)" if entry.name in cards else f"`{entry.name}`"
        year, needs = entry.facts.get("year", ""), ", ".join(entry.facts.get("needs", ()))
        presets = ", ".join(entry.facts.get("presets", {}))
        cells = [name, str(year), kind_of(entry.facts), needs, str(entry.facts.get("paper", "")), presets]
        lines.append(f"| {' | '.join(cells)} |")
    for heading, words in (("kind", KINDS), ("needs", NEEDS)):
        lines += ["", f"**{heading}**", "", *(f"- {word}: {meaning}" for word, meaning in words.items())]
    return "\n".join(lines) + "\n"
