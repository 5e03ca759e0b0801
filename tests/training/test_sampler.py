"""Training batches: coverage, distribution, and that a batch is a function of the step alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from bench.core.errors import UserError
from bench.data.bank import ImageBank
from bench.data.task import Domain, TaskData
from bench.training.augment import Augment
from bench.training.compute import Compute
from bench.training.sampler import Batch, Sampler, Stream

N_SOURCE, N_TARGET = 23, 5
CPU = Compute.choose("cpu")


def task(n_target: int = N_TARGET, labels: list[int] | None = None) -> TaskData:
    """Image i of the bank is i all over in its first channel, a ramp in the others; sources come first."""
    n = N_SOURCE + N_TARGET
    images = np.broadcast_to(np.arange(0, 256, 4, dtype=np.uint8).reshape(8, 8), (n, 3, 8, 8)).copy()
    images[:, 0] = np.arange(n)[:, None, None]
    known = np.arange(n, dtype=np.int64) % 3 if labels is None else np.array(labels, dtype=np.int64)
    ids = [str(i) for i in range(n)]
    bank = ImageBank(Path(), images, ids, ["x"] * n, ["train"] * n, known, [None] * n, {})
    source = Domain("a", bank, np.arange(N_SOURCE))
    target = Domain("b", bank, np.arange(N_SOURCE, N_SOURCE + n_target))
    truth = np.full(N_SOURCE, -1, dtype=np.int64)
    return TaskData("made", "default", ("u", "v", "w"), source, target, source, target, truth, n_target, 0, "", "")


def sampler(stream: Stream, data: TaskData | None = None, seed: int = 0) -> Sampler:
    return Sampler({"it": stream}, data or task(), seed, CPU)


def indices(stream: Stream, steps: int, data: TaskData | None = None, seed: int = 0) -> list[list[int]]:
    draw = sampler(stream, data, seed)
    return [draw.batch(step)["it"].index.tolist() for step in range(steps)]


def values(batch: Batch) -> list[int]:
    """Which row of the bank each image is."""
    return ((batch.image[:, 0, 0, 0] + 1) * 127.5).round().int().tolist()


class TestShuffled:
    def test_every_image_once_an_epoch_in_an_order_of_its_own(self) -> None:
        drawn = indices(Stream("source", 1), 3 * N_SOURCE)
        epochs = np.array(drawn).reshape(3, N_SOURCE).tolist()
        assert all(sorted(epoch) == list(range(N_SOURCE)) for epoch in epochs)
        assert epochs[0] != epochs[1] != epochs[2]

    def test_the_last_partial_batch_is_dropped(self) -> None:
        """23 images in batches of 4: five full batches an epoch, 20 different images."""
        drawn = indices(Stream("source", 4), 10)
        for epoch in (drawn[:5], drawn[5:]):
            flat = np.ravel(epoch).tolist()
            assert len(set(flat)) == len(flat) == 20
        assert set(np.ravel(drawn[:5])) != set(np.ravel(drawn[5:]))  # others are left out next time

    def test_a_pool_smaller_than_the_batch_is_repeated(self) -> None:
        for batch in indices(Stream("target", 12), 4):
            assert len(batch) == 12
            assert set(np.bincount(batch, minlength=N_TARGET)) <= {2, 3}

    def test_one_target_image_is_in_every_place(self) -> None:
        for order in ("shuffled", "uniform", "balanced"):
            assert indices(Stream("target", 3, order), 5, task(n_target=1)) == [[0, 0, 0]] * 5


def test_uniform_is_with_replacement_and_uniform() -> None:
    drawn = np.concatenate(indices(Stream("source", 10, "uniform"), 920))
    assert stats.chisquare(np.bincount(drawn, minlength=N_SOURCE)).pvalue > 1e-4
    assert any(len(set(batch)) < 10 for batch in drawn.reshape(-1, 10).tolist())


class TestBalanced:
    CLASSES = np.array([0] * 20 + [1] * 2 + [2])

    def test_uniform_over_classes_then_over_their_images(self) -> None:
        drawn = np.concatenate(indices(Stream("source", 10, "balanced", classes=self.CLASSES), 600))
        assert stats.chisquare(np.bincount(self.CLASSES[drawn], minlength=3)).pvalue > 1e-4
        for members in (range(20), range(20, 22)):
            counts = np.bincount(drawn, minlength=N_SOURCE)[list(members)]
            assert stats.chisquare(counts).pvalue > 1e-4

    def test_the_batch_carries_the_classes_it_was_asked_for(self) -> None:
        batch = sampler(Stream("source", 16, "balanced", classes=self.CLASSES + 7)).batch(0)["it"]
        assert batch.label.tolist() == (self.CLASSES[batch.index] + 7).tolist()

    def test_an_image_without_a_label_is_one_line(self) -> None:
        data = task(labels=[-1] + [0] * (N_SOURCE + N_TARGET - 1))
        with pytest.raises(UserError, match="needs a label"):
            sampler(Stream("source", 2, "balanced"), data)


class TestAFunctionOfTheStep:
    STREAMS = [
        Stream("source", 4, augment=Augment(flip=True, load_size=10)),
        Stream("target", 4, "uniform", Augment(flip=True)),
        Stream("all", 4, "balanced"),
    ]

    @pytest.mark.parametrize("stream", STREAMS, ids=lambda s: s.order)
    def test_going_on_at_any_step_gives_the_same_batches(self, stream: Stream) -> None:
        whole = sampler(stream)
        batches = [whole.batch(step)["it"] for step in range(20)]
        for step in (19, 7, 0, 12):  # a fresh sampler each time, in no order
            again = sampler(stream).batch(step)["it"]
            assert torch.equal(again.image, batches[step].image)
            assert torch.equal(again.index, batches[step].index)

    def test_other_seeds_and_other_streams_draw_otherwise(self) -> None:
        stream = self.STREAMS[0]
        assert indices(stream, 5, seed=0) != indices(stream, 5, seed=1)
        both = Sampler({"a": stream, "b": stream}, task(), 0, CPU).batch(0)
        assert both["a"].index.tolist() != both["b"].index.tolist()

    def test_a_stream_does_not_depend_on_its_neighbours(self) -> None:
        stream = self.STREAMS[0]
        alone = Sampler({"a": stream}, task(), 0, CPU).batch(3)["a"]
        beside = Sampler({"z": self.STREAMS[1], "a": stream}, task(), 0, CPU).batch(3)["a"]
        assert torch.equal(alone.image, beside.image)

    def test_the_global_generators_are_not_touched(self) -> None:
        before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]
        sampler(self.STREAMS[0]).batch(0)
        assert torch.equal(before, torch.get_rng_state())
        assert (numpy_before == np.random.get_state()[1]).all()  # type: ignore[index]


@pytest.mark.parametrize(("pool", "first", "size"), [("source", 0, 23), ("target", 23, 5), ("all", 0, 28)])
def test_index_image_and_label_belong_together(pool: str, first: int, size: int) -> None:
    draw = sampler(Stream(pool, 7, "uniform"))
    seen = set()
    for step in range(60):
        batch = draw.batch(step)["it"]
        assert values(batch) == (batch.index + first).tolist()
        assert batch.label.tolist() == ((batch.index + first) % 3).tolist()
        assert batch.image.dtype == torch.float32
        seen |= set(batch.index.tolist())
    assert seen == set(range(size))


def test_a_follower_draws_the_partners_of_its_leader() -> None:
    partners = np.arange(N_SOURCE)[::-1].copy()
    streams = {"x": Stream("source", 4), "y": Stream("source", 4, follows="x", partners=partners)}
    draw = Sampler(streams, task(), 0, CPU)
    for step in (0, 3, 40):
        batch = draw.batch(step)
        assert batch["y"].index.tolist() == partners[batch["x"].index].tolist()


def test_pixels_become_floats_in_minus_one_to_one() -> None:
    data = task()
    images = np.zeros((N_SOURCE + N_TARGET, 3, 8, 8), np.uint8)
    images[:, :, 0, 0] = 255
    bank = replace(data.source_train.bank, images=images)
    data = replace(data, source_train=Domain("a", bank, np.arange(N_SOURCE)))
    image = sampler(Stream("source", 2), data).batch(0)["it"].image
    assert (image.min().item(), image.max().item()) == (-1.0, 1.0)


def test_what_a_method_asks_wrongly_is_refused() -> None:
    with pytest.raises(ValueError, match="order is one of"):
        sampler(Stream("source", 1, "sorted"))
    with pytest.raises(ValueError, match="pool one of"):
        sampler(Stream("elsewhere", 1))
    with pytest.raises(ValueError, match="3 classes for a pool of 23 images"):
        sampler(Stream("source", 1, classes=np.zeros(3)))


def test_a_later_augmentation_takes_over_at_its_step_and_draws_the_same_images() -> None:
    plain, jitter = Augment(), Augment(load_size=10)
    changing = sampler(Stream("source", 4, augment=jitter, later=(3, plain)))
    for step in range(6):
        wanted = sampler(Stream("source", 4, augment=jitter if step < 3 else plain)).batch(step)["it"]
        found = changing.batch(step)["it"]
        assert torch.equal(found.index, wanted.index) and torch.equal(found.image, wanted.image)


class TestSameView:
    def streams(self, same_view: bool) -> dict[str, Stream]:
        augment = Augment(load_size=12, flip=True)
        partners = np.arange(N_TARGET)
        leader = Stream("target", 3, augment=augment)
        return {
            "leader": leader,
            "it": Stream("source", 3, augment=augment, follows="leader", partners=partners, same_view=same_view),
        }

    def ramps(self, same_view: bool) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """The second channel, which is the same ramp in all images before they are cropped and mirrored."""
        draw = Sampler(self.streams(same_view), task(), 0, CPU)
        batches = [draw.batch(step) for step in range(4)]
        return [(batch["leader"].image[:, 1], batch["it"].image[:, 1]) for batch in batches]

    def test_an_image_is_cropped_and_mirrored_like_the_one_it_follows(self) -> None:
        assert all(torch.equal(leader, it) for leader, it in self.ramps(same_view=True))

    def test_otherwise_it_has_draws_of_its_own(self) -> None:
        assert not any(torch.equal(leader, it) for leader, it in self.ramps(same_view=False))


@pytest.mark.parametrize("mirror", [True, False])
def test_images_are_mirrored_only_where_the_data_set_allows_it(mirror: bool) -> None:
    """The second channel is a ramp from left to right, so its first column tells."""
    data = replace(task(), mirror=mirror)
    draw = sampler(Stream("source", 20, augment=Augment(flip=True)), data)
    images = torch.cat([draw.batch(step)["it"].image for step in range(5)])
    mirrored = (images[:, 1, 0, 0] > images[:, 1, 0, -1]).float().mean()
    assert 0.3 < mirrored < 0.7 if mirror else mirrored == 0
