"""How many iterations a method has done since it began to train on the task."""

from typing import Any


class Counter:
    """A number of iterations, as what a method remembers (`memory`): it decides the phase of a training."""

    def __init__(self) -> None:
        self.done = 0

    def state_dict(self) -> dict[str, Any]:
        return {"done": self.done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.done = int(state["done"])
