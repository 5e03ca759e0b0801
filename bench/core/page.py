"""Pages of one file: their own styles and script inside, allowed by their hash and nothing else."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import jinja2


def rendered(folder: Path, **values: Any) -> str:
    """The HTML of `folder`/page.html.j2, which gets `values`, the texts of page.js and page.css as `script` and
    `style`, and their hashes for its content security policy as `script_hash` and `style_hash`."""
    script, style, html = (
        (folder / name).read_text(encoding="utf-8") for name in ("page.js", "page.css", "page.html.j2")
    )
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(html)
    hashes = {"script_hash": _hash(script), "style_hash": _hash(style)}
    return template.render(script=script, style=style, **hashes, **values)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
