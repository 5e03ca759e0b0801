"""Data sets: what they state, how their files become banks of images, and the task that one run is given."""
