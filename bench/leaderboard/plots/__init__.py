"""Plots and picture grids of a leaderboard."""
