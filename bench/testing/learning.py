"""What a method promises of its training."""

import pytest
import torch
from torch import Tensor

from bench.testing.case import BFLOAT16, Case, Make, equal
from bench.testing.resuming import resumes

STEPS_FOR_ALL = 6  # some methods step a network in every fifth iteration only


def equal_seeds_give_equal_results(make: Make) -> None:
    """Equal seeds give equal weights and translations; other seeds give others.

    Mend: draw in train_step from self.rng, in translate from its rng, and never from torch's or NumPy's global
    generators.
    """
    first, again, other = make(seed=1), make(seed=1), make(seed=2)
    for case in (first, again, other):
        case.train()
    assert equal(first.parameters(), again.parameters())
    assert not equal(first.parameters(), other.parameters())
    assert torch.equal(first.translate(), again.translate())


def losses_are_finite_detached_scalars(make: Make) -> None:
    """`train_step` returns finite, detached losses without dimensions.

    Mend: return value.detach() of each loss, after its mean.
    """
    losses = make().train()
    assert losses
    for name, value in losses.items():
        assert value.ndim == 0 and not value.requires_grad, name
        assert torch.isfinite(value), name


def every_network_is_trained_and_by_one_optimizer(make: Make) -> None:
    """Every network is trained, by one optimizer; averages and frozen networks are in none.

    Mend: give each parameter that requires gradients to one optimizer, call self.minimise, and freeze the rest with
    requires_grad_(False).
    """
    case = make()
    owners: dict[int, list[str]] = {}
    for name, optimizer in case.method.optimizers.items():
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                owners.setdefault(id(parameter), []).append(name)
    assert all(len(names) == 1 for names in owners.values()), "a parameter has two optimizers"
    averaged = {id(p) for network in case.method.ema.values() for p in network.parameters()}
    assert not averaged & set(owners), "an optimizer holds averaged weights"
    before = case.parameters()
    case.train(0, STEPS_FOR_ALL)
    after = case.parameters()
    for name, network in case.method.networks.items():
        parameters = dict(network.named_parameters())
        trained = [key for key, p in parameters.items() if p.requires_grad]
        loose = [key for key in trained if id(parameters[key]) not in owners]
        assert not loose, f"{name}.{loose[0]} requires gradients and no optimizer has it"
        values = ((before[f"network.{name}.{key}"], after[f"network.{name}.{key}"]) for key in parameters)
        moved = {key for key, (old, new) in zip(parameters, values) if not torch.equal(old, new)}
        assert not trained or moved, f"{name} is never trained"
        assert moved <= set(trained), f"{name} is frozen and yet changes"


def state_goes_through_a_file_and_training_goes_on_bit_equal(make: Make) -> None:
    """A training that is saved, loaded and continued equals one that was never stopped.

    Mend: keep whatever training remembers in self.networks, ema, optimizers, schedulers or memory.
    """
    resumes(make)


def averages_start_from_the_initialised_weights(make: Make) -> None:
    """Averages of weights start as copies of their networks, pre-trained weights included.

    Mend: fill self.ema with copy.deepcopy(network) after the network is initialised; where prepare loads weights into
    the network, load them into its average too.
    """
    case = make()
    for name, average in case.initial.items():
        network = case.method.networks[name].state_dict()
        assert equal(dict(average.state_dict()), {k: network[k] for k in average.state_dict()}), name


def bfloat16_autocast(make: Make) -> None:
    """The slow stages before training, training and translation all run in bfloat16.

    Mend: compute in the dtype that autocast gives, take losses in float32, and leave the weights alone.
    """
    case = make(compute=BFLOAT16)
    losses = case.train()
    assert all(torch.isfinite(value) for value in losses.values())
    assert torch.isfinite(case.translate().float()).all()
    assert all(p.dtype == torch.float32 for net in case.method.networks.values() for p in net.parameters())


def parts_of_a_batch_train_as_the_whole_batch_does(make: Make) -> None:
    """Two parts of a batch in turn train as the whole batch does, to rounding, or `whole_batch` says why not.

    Mend: draw through self.draw, change what is not a weight through self.once, and let self.over_batch do what needs
    all images; or let whole_batch return the reason.
    """
    batch = {"batch_size": 4}
    whole, parts = make(more=batch), make(more=batch)
    if reason := whole.method.whole_batch(whole.method.config):
        pytest.skip(f"{whole.method.name}: {reason}")
    parts.method.accumulate = 2
    losses = [train_by_plain_descent(case) for case in (whole, parts)]
    for one, other in (losses, (whole.parameters(), parts.parameters())):
        for name, value in one.items():
            gap = (value.float() - other[name].float()).abs().max()
            assert gap <= 1e-5 + 2e-4 * value.abs().max(), f"{name} differs by {gap:.1e}"
    assert torch.equal(whole.method.rng.get_state(), parts.method.rng.get_state()), "other random numbers come next"


def train_by_plain_descent(case: Case) -> dict[str, Tensor]:
    """Trains with steps as large as the gradients: Adam's blow up the roundings of gradients that are almost 0."""
    for name, optimizer in case.method.optimizers.items():
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        case.method.optimizers[name] = torch.optim.SGD(parameters, 1e-3)
    return case.train()
