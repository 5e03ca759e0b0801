"""No preset makes a method lead by construction."""

import pytest

from bench.core.registry import entries


@pytest.mark.parametrize("name", entries("methods"))
def test_no_preset_adds_the_source_to_its_translation(name: str) -> None:
    """A generator that starts as the identity is nearer to the target than any other after a short training."""
    presets = entries("methods")[name].load().presets
    assert [preset for preset, fields in presets.items() if fields.get("skip")] == []
