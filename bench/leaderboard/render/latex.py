"""Tables as LaTeX with booktabs, ready to be pasted into a paper: never wider than its lines."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from bench.leaderboard.tables import LEVEL, Table, Text

HEAD = "% \\usepackage{booktabs,graphicx} in the preamble. Written by: python -m bench leaderboard\n"
FIT = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"  # shrinks, and only what is too wide
SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "[": "{[}", "]": "{]}", "±": r"$\pm$", "°": r"$^\circ$", "↓": r"$\downarrow$",
    "↑": r"$\uparrow$", "×": r"$\times$",
}  # fmt: skip


def latex(tables: Iterable[Table], citation: str) -> str:
    head = HEAD + "".join(f"% {line}\n" for line in _ascii(citation).splitlines())
    return head + "\n".join(_table(table, label) for table, label in _labelled(tables))


def _labelled(tables: Iterable[Table]) -> Iterator[tuple[Table, str]]:
    """Each table with a name for \\ref, made of its title without the counts; equal ones are numbered."""
    seen: Counter[str] = Counter()
    for table in tables:
        label = "-".join(re.findall(r"[a-z0-9]+", re.sub(r", n=\S+", "", table.title).lower()))
        seen[label] += 1
        yield table, f"tab:{label}" + (f"-{seen[label]}" if seen[label] > 1 else "")


def _table(table: Table, label: str) -> str:
    columns = "l" + "r" * len(table.headings)
    lines = [
        r"\begin{table}", r"\centering", rf"\caption{{{escape(table.title)}}}\label{{{label}}}",
        r"\footnotesize\setlength{\tabcolsep}{4pt}", FIT, rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule", _line("", map(escape, table.headings)), r"\midrule",
        *(_line(escape(label), map(_cell, cells)) for label, cells in table.rows),
        r"\bottomrule", r"\end{tabular}}",
    ]  # fmt: skip
    notes = [escape(line) for line in table.verdicts]
    notes += [f"[{number}] {escape(note)}" for number, note in enumerate(table.notes, 1)]
    if notes:
        lines.append(r"\par\smallskip " + " ".join(notes))
    return "\n".join([*lines, r"\end{table}", ""])


def _line(label: str, cells: Iterable[str]) -> str:
    return " & ".join([label, *cells]) + r" \\"


def _cell(cell: Text) -> str:
    text = escape(cell.text).replace(f" {SPECIAL[LEVEL]}", SPECIAL[LEVEL])
    text = re.sub(r"(?<![\w.])-(?=\d)", "$-$", text)
    text = rf"\textbf{{{text}}}" if cell.bold else text
    return f"{text} [{cell.note}]" if cell.note else text


def escape(text: str) -> str:
    """Any text as LaTeX that prints it; letters that pdflatex may not know are shown as a question mark."""
    return _ascii("".join(SPECIAL.get(letter, letter) for letter in " ".join(text.split())))


def _ascii(text: str) -> str:
    return "".join(letter if (letter.isascii() and letter.isprintable()) or letter == "\n" else "?" for letter in text)
