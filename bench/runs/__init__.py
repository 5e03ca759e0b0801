"""The life of a run: what makes it that run, its settings, its stages, its outputs and its record."""
