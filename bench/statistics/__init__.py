"""Draws, means with intervals, paired differences and slopes over runs: everybody asks here."""
