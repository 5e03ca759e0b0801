"""The words in which a method says what it learns from and what data it needs. Light: nothing here imports torch."""

from collections.abc import Mapping
from typing import Any

from bench.core.errors import UserError
from bench.core.registry import find

KINDS = {
    "unpaired": "no training image of the source is known to show the same as one of the target",
    "paired": "training images of different domains are known to show the same thing: an upper bound",
    "generator": "makes images of the target domain and ignores the source",
}

NEEDS = {
    "pairs": "training images of source and target that are known to show the same thing",
    "anchor": "a third domain whose training images are paired with those of the source and of the target",
    "labels": "class labels, with the preset paper; another choice of `classes` does without",
    "weights": "public pre-trained weights, with the preset paper; other presets do without",
}


def kind_of(facts: Mapping[str, Any]) -> str:
    """The kind that a method's literal class attributes state; "unpaired" where they say nothing."""
    return str(facts.get("kind", "unpaired"))


def kind_of_method(name: str) -> str:
    """The kind of a registered method; "unpaired" for anchors, outputs of other programs and unknown names."""
    try:
        return kind_of(find("methods", name).facts)
    except UserError:
        return "unpaired"
