import json
import math
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from sklearn.metrics import adjusted_rand_score
from torchvision.transforms.v2 import functional as tv

from bench.core.errors import UserError
from bench.core.progress import Reporter
from bench.data.task import TaskData, load_task
from bench.methods import modes
from bench.methods.modes import contrastive, representation, vae, views
from bench.methods.modes.kmeans import spherical_kmeans
from bench.training.artifacts import Artifacts
from bench.training.compute import Compute
from bench.training.loop import Loop
from bench.training.method import Config, Task

MakeTask = Callable[..., TaskData]


SMALL: dict[str, Any] = {"encoder_width": 4, "encoder_epochs": 3, "encoder_batch": 8, "encoder_images": "source"}


def n_parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


# --- the encoder


def test_paper_encoder_has_the_parameters_of_a_resnet18() -> None:
    with torch.device("meta"):
        assert n_parameters(contrastive.Contrastive(3, 64, "code")) == 11_570_496


def test_resnet_equals_torchvisions() -> None:
    theirs = torchvision.models.resnet18(weights=None).eval()
    theirs.fc = torch.nn.Identity()
    ours = contrastive.ResNet18().eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(ours(x), theirs(x), atol=1e-5)


def test_nt_xent_by_hand() -> None:
    first, second = torch.randn(3, 5), torch.randn(3, 5)
    rows = [v / v.norm() for v in [*first, *second]]
    total = 0.0
    for i in range(6):
        scores = {j: math.exp(float(rows[i] @ rows[j]) / 0.5) for j in range(6) if j != i}
        total += -math.log(scores[(i + 3) % 6] / sum(scores.values()))
    assert contrastive.nt_xent(first, second).item() == pytest.approx(total / 6, rel=1e-5)


def test_nt_xent_of_random_and_perfect_projections() -> None:
    z = F.normalize(torch.randn(256, 4096), dim=1)
    random = contrastive.nt_xent(z, F.normalize(torch.randn(256, 4096), dim=1))
    assert random.item() == pytest.approx(math.log(2 * 256 - 1), abs=0.02)
    assert contrastive.nt_xent(z, z).item() == pytest.approx(math.log(math.exp(2) + 510) - 2, abs=0.02)


def test_views_go_through_the_encoder_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    network = contrastive.Contrastive(3, 4, "code")
    sizes: list[int] = []
    network.encoder.register_forward_hook(lambda module, inputs, output: sizes.append(len(output)))
    network.loss(torch.rand(6, 3, 32, 32), np.random.default_rng(0))
    assert sizes == [6, 6]


def test_embedding_is_h_of_the_enlarged_centre_crop() -> None:
    network = contrastive.Contrastive(3, 4, "code").eval()
    images = torch.rand(2, 3, 64, 64)
    larger = tv.resize(images, [70, 70], antialias=True)
    wanted = network.encoder(tv.center_crop(larger, [64, 64]))
    assert wanted.shape == (2, 32)
    assert torch.allclose(network.embed(images), wanted, atol=1e-5)


# --- augmentations


@pytest.mark.parametrize("kind", ["code", "paper"])
def test_views_keep_shape_and_range_and_follow_the_generator(kind: views.Views) -> None:
    images = torch.rand(8, 3, 32, 32)
    one = views.augment(images, np.random.default_rng(3), kind)
    assert one.shape == images.shape and one.min() >= 0 and one.max() <= 1
    assert torch.equal(one, views.augment(images, np.random.default_rng(3), kind))
    assert not torch.equal(one, views.augment(images, np.random.default_rng(4), kind))


def test_every_image_of_a_batch_has_its_own_view() -> None:
    same = torch.rand(1, 3, 32, 32).repeat(6, 1, 1, 1)
    out = views.augment(same, np.random.default_rng(0), "code")
    assert all(not torch.equal(out[0], other) for other in out[1:])


def test_paper_views_leave_colours_alone() -> None:
    flat = torch.tensor([0.2, 0.5, 0.9]).view(1, 3, 1, 1).expand(4, 3, 32, 32)
    assert torch.allclose(views.augment(flat, np.random.default_rng(0), "paper"), flat, atol=1e-6)
    assert not torch.allclose(views.augment(flat, np.random.default_rng(0), "code"), flat, atol=1e-2)


def test_windows_have_the_area_and_ratio_of_random_resized_crop() -> None:
    top, left, height, width = views.windows(4000, 128, np.random.default_rng(0)).T
    area, ratio = height * width / 128**2, width / height
    assert top.min() >= 0 and left.min() >= 0 and (top + height).max() <= 128 and (left + width).max() <= 128
    assert 0.07 < area.min() < 0.1 and area.max() > 0.95
    assert 0.72 < ratio.min() < 0.8 and 1.25 < ratio.max() < 1.38
    theirs = [torchvision.transforms.RandomResizedCrop.get_params(torch.empty(3, 128, 128), (0.08, 1), (3 / 4, 4 / 3))
              for _ in range(2000)]  # fmt: skip
    assert area.mean() == pytest.approx(np.mean([h * w / 128**2 for _, _, h, w in theirs]), abs=0.02)


def test_crop_equals_torchvisions_resized_crop_mirrored_or_not() -> None:
    images = torch.rand(16, 3, 32, 32)
    out = views.crop_and_flip(images, np.random.default_rng(5))
    boxes = views.windows(16, 32, np.random.default_rng(5))
    mirrored = 0
    for image, result, (top, left, height, width) in zip(images, out, boxes):
        # away from the window's rim, where torchvision clamps to the window and we read on
        wanted = tv.resized_crop(image[None], top, left, height, width, [32, 32], antialias=False)[0][:, 3:-3, 3:-3]
        plain, flipped = result[:, 3:-3, 3:-3], result.flip(-1)[:, 3:-3, 3:-3]
        assert torch.allclose(plain, wanted, atol=1e-4) or torch.allclose(flipped, wanted, atol=1e-4)
        mirrored += not torch.allclose(plain, wanted, atol=1e-4)
    assert 0 < mirrored < 16


def test_no_view_is_mirrored_where_the_data_set_does_not_allow_it() -> None:
    ramp = torch.linspace(0, 1, 32).expand(16, 3, 32, 32)
    out = views.crop_and_flip(ramp, np.random.default_rng(5), mirror=False)
    assert (out[..., -1] > out[..., 0]).all()


@pytest.mark.parametrize("name, theirs", [("brightness", tv.adjust_brightness), ("contrast", tv.adjust_contrast),
                                          ("saturation", tv.adjust_saturation), ("hue", tv.adjust_hue)])  # fmt: skip
def test_jitter_operations_equal_torchvisions(name: str, theirs: Callable) -> None:
    images = torch.rand(5, 3, 8, 8)
    images[0] = images[0].mean(0)  # a grey image has no hue
    for amount in (0.2, -0.2, 0.13) if name == "hue" else (0.2, 1.0, 1.8):
        ours = getattr(views, name)(images, torch.full((5, 1, 1, 1), amount))
        # torchvision's weights of the luma are rounded to 4 digits
        assert torch.allclose(ours, theirs(images, amount), atol=2e-3), amount


def test_jitter_leaves_a_fifth_of_the_images_alone() -> None:
    images = torch.rand(1000, 3, 4, 4)
    out = views.colour_jitter(images, np.random.default_rng(0))
    untouched = (out == images).flatten(1).all(1).float().mean().item()
    assert 0.16 < untouched < 0.24


def test_blur_equals_torchvisions_gaussian() -> None:
    images = torch.rand(40, 3, 64, 64)
    out = views.blur(images, np.random.default_rng(2))
    rng = np.random.default_rng(2)
    chosen, sigma = rng.random(40) < 0.5, rng.uniform(0.1, 2.0, 40)
    for image, result, blurred, s in zip(images, out, chosen, sigma):
        wanted = tv.gaussian_blur(image, [5, 5], [float(s)] * 2) if blurred else image
        assert torch.allclose(result, wanted, atol=1e-5)


@pytest.mark.parametrize("side, support", [(128, 11), (64, 5), (32, 3), (256, 25)])
def test_blur_kernel_is_odd(side: int, support: int) -> None:
    image = torch.zeros(30, 1, side, side)
    image[:, :, side // 2, side // 2] = 1
    out = views.blur(image, np.random.default_rng(0))
    widths = {int((x[0] > 0).any(0).sum()) for x in out}
    assert max(widths) == support


def test_shuffled_tiles_are_the_same_tiles_elsewhere() -> None:
    images = torch.rand(50, 3, 16, 16)
    out = views.shuffle_tiles(images, np.random.default_rng(0))
    tiles = lambda x: {tuple(t.flatten().tolist()) for t in F.unfold(x[None], 2, stride=2)[0].T}  # noqa: E731
    moved = [not torch.equal(a, b) for a, b in zip(images, out)]
    assert 0.4 < np.mean(moved) < 0.8, "with probability 0.6"
    assert all(tiles(a) == tiles(b) for a, b in zip(images[:8], out[:8]))


# --- clustering


def test_kmeans_finds_separate_directions_whatever_their_lengths() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2, 3], [200, 100, 30, 5])
    points = 4 * np.eye(8)[truth] + 0.1 * rng.standard_normal((len(truth), 8))
    points *= rng.uniform(0.5, 5, (len(points), 1))
    scores = [adjusted_rand_score(truth, spherical_kmeans(points, 4, seed)) for seed in range(8)]
    assert max(scores) == 1.0


def test_kmeans_is_a_fixed_point_of_its_two_steps() -> None:
    points = np.random.default_rng(1).standard_normal((60, 5))
    ids = spherical_kmeans(points, 4, seed=0, iterations=1000)
    centroids = np.stack([points[ids == c].sum(0) for c in range(4)])
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    assert (ids == (points @ centroids.T).argmax(1)).all()


def test_kmeans_weighs_points_by_their_lengths() -> None:
    points = np.random.default_rng(1).standard_normal((200, 5)) * np.random.default_rng(2).exponential(1, (200, 1))
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    assert not np.array_equal(spherical_kmeans(points, 6, 0), spherical_kmeans(unit, 6, 0))


def test_kmeans_leaves_no_cluster_empty() -> None:
    same = np.ones((10, 3))
    assert np.bincount(spherical_kmeans(same, 4, 0), minlength=4).min() >= 1
    rng = np.random.default_rng(0)
    two = np.repeat(np.eye(2), 20, axis=0) + 1e-3 * rng.standard_normal((40, 2))
    assert np.bincount(spherical_kmeans(two, 9, 0), minlength=9).min() >= 1
    assert sorted(spherical_kmeans(rng.standard_normal((5, 3)), 5, 0)) == [0, 1, 2, 3, 4]


# --- the variational autoencoder


def test_negative_elbo_by_hand() -> None:
    x, y = torch.tensor([[[[1.0, 0.0]]]]), torch.tensor([[[[0.5, 0.5]]]])
    mean, log_variance = torch.tensor([[2.0]]), torch.tensor([[0.0]])
    assert vae.negative_elbo(x, y, mean, log_variance).item() == pytest.approx(0.25 + 2.0)
    log_variance = torch.tensor([[math.log(4)]])
    assert vae.negative_elbo(x, x, mean * 0, log_variance).item() == pytest.approx((4 - 1 - math.log(4)) / 2)


def test_vae_embeds_the_posterior_mean() -> None:
    network = vae.VAE(3, 4, 32).eval()
    images = torch.rand(2, 3, 32, 32)
    assert network.embed(images).shape == (2, 128)
    assert torch.equal(network.embed(images), network.encoder(images)[:, :128])
    assert network.decoder(torch.randn(2, 128)).shape == images.shape


# --- the choice of classes


@pytest.mark.parametrize(
    "settings, wanted",
    [
        ({"classes": "domain"}, (1, 1)),
        ({"classes": "labels"}, (9, 1)),
        ({"classes": "modes:40"}, (40, 1)),
        ({"classes": "modes:auto"}, (13, 1)),  # 1525 / 125 = 12.2
        ({"classes": "vae-modes:30", "target_modes": 30}, (30, 30)),
    ],
)
def test_counts(settings: dict[str, Any], wanted: tuple[int, int]) -> None:
    assert modes.counts(modes.Fields(**settings), Task(32, 1525, 125, 9)) == wanted


def test_auto_makes_the_target_no_smaller_than_a_mean_mode() -> None:
    for n_source, n_target, k in [(10_000, 1000, 10), (10_000, 125, 80), (4739, 5153, 1), (10, 3, 4)]:
        assert modes.counts(modes.Fields(classes="modes:auto"), Task(32, n_source, n_target, 0)) == (k, 1)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"classes": "mode:4"}, "not one of"),
        ({"classes": "modes:0"}, "not one of"),
        ({"classes": "modes:-3"}, "not one of"),
        ({"classes": "domain:2"}, "not one of"),
        ({"classes": "modes"}, "not one of"),
        ({"classes": "labels", "target_modes": 2}, "target_modes"),
        ({"target_modes": 0}, "target_modes"),
        ({"encoder_batch": 1}, "encoder_batch"),
    ],
)
def test_bad_fields_are_one_line(settings: dict[str, Any], message: str) -> None:
    @dataclass(frozen=True)
    class ModesConfig(Config, modes.Fields):
        pass

    with pytest.raises(UserError, match=message) as caught:
        ModesConfig(**settings)
    assert "\n" not in str(caught.value)


def test_impossible_counts_name_the_size() -> None:
    with pytest.raises(UserError, match="has 20 training images"):
        modes.counts(modes.Fields(classes="modes:21"), Task(16, 20, 6, 3))
    with pytest.raises(UserError, match="has 6 training images"):
        modes.counts(modes.Fields(classes="modes:2", target_modes=7), Task(16, 20, 6, 3))
    with pytest.raises(UserError, match="no labels"):
        modes.counts(modes.Fields(classes="labels"), Task(16, 20, 6, 0))


def test_resolutions_that_cannot_be_cut_are_named() -> None:
    with pytest.raises(UserError, match="divisible by 16"):
        modes.counts(modes.Fields(classes="vae-modes:4"), Task(40, 20, 6, 3))
    with pytest.raises(UserError, match="divisible by 8"):
        modes.counts(modes.Fields(classes="modes:4", encoder_views="paper"), Task(36, 20, 6, 3))
    assert modes.counts(modes.Fields(classes="modes:4"), Task(36, 20, 6, 3)) == (4, 1)


def test_domain_and_labels_need_no_artifact(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    data = tiny_task()
    found = modes.find(modes.Fields(classes="domain"), data, artifacts)
    assert found.source.tolist() == [0] * 20 and found.target.tolist() == [1] * 6
    found = modes.find(modes.Fields(classes="labels"), data, artifacts)
    assert found.source.tolist() == data.source_train.labels.tolist() and found.target.tolist() == [3] * 6
    assert not artifacts.root.exists()


def test_labels_with_a_gap_are_an_error(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    data = tiny_task()
    data.source_train.bank.labels[3] = -1
    with pytest.raises(UserError, match="1 source images have no label"):
        modes.find(modes.Fields(classes="labels"), data, artifacts)


@pytest.mark.parametrize("kind", ["modes", "vae-modes"])
def test_modes_cover_the_source_and_the_target_follows(kind: str, tiny_task: MakeTask, artifacts: Artifacts) -> None:
    found = modes.find(modes.Fields(classes=f"{kind}:4", **SMALL), tiny_task(), artifacts)
    assert sorted(set(found.source)) == [0, 1, 2, 3] and found.source.dtype == np.int64
    assert found.target.tolist() == [4] * 6 and (found.n_source, found.n_target) == (4, 1)


def test_balanced_setting_clusters_both_domains(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    fields = modes.Fields(classes="modes:4", target_modes=3, **{**SMALL, "encoder_images": "both"})
    found = modes.find(fields, tiny_task(), artifacts)
    assert sorted(set(found.source)) == [0, 1, 2, 3]
    assert sorted(set(found.target)) == [4, 5, 6]


def built(artifacts: Artifacts) -> dict[str, int]:
    return {kind: len(list((artifacts.root / kind).glob("*/key.json"))) for kind in ("representation", "modes")}


def test_what_shares_an_artifact_and_what_does_not(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    find = lambda data=None, **s: modes.find(  # noqa: E731
        modes.Fields(**{"classes": "modes:4", **SMALL, **s}), data or tiny_task(), artifacts
    )
    find()
    find()
    find(data=tiny_task(n_target=3))
    assert built(artifacts) == {"representation": 1, "modes": 1}, "target sizes share one"
    find(classes="modes:5")
    assert built(artifacts) == {"representation": 1, "modes": 2}, "every k has the same representation"
    find(target_modes=2)
    find(target_modes=2, data=tiny_task(n_target=3))
    assert built(artifacts) == {"representation": 1, "modes": 4}, "a clustered target is part of the key"
    find(encoder_images="both")
    find(encoder_images="both", data=tiny_task(n_target=3))
    assert built(artifacts) == {"representation": 3, "modes": 6}, "and so is one that the encoder saw"
    find(encoder_views="paper")
    find(modes_seed=1)
    find(data=tiny_task(seed=1))
    assert built(artifacts) == {"representation": 6, "modes": 9}


def test_a_batch_larger_than_the_data_still_trains(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    options = representation.EncoderOptions("contrastive", 16, "code", 4, 256, 5, 3e-4, "cosine", 0)
    training = representation.EncoderTraining(options, [tiny_task().source_train], artifacts.loop)
    assert (training.batch, training.per_epoch, training.total) == (20, 1, 5)
    before = [p.clone() for p in training.network.parameters()]
    training.step(0)
    assert any(not torch.equal(a, b) for a, b in zip(before, training.network.parameters()))


def test_an_epoch_shows_every_image_once(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    data = tiny_task()
    options = representation.EncoderOptions("contrastive", 16, "code", 4, 13, 5, 3e-4, "cosine", 0)
    training = representation.EncoderTraining(options, [data.source_train, data.target_train], artifacts.loop)
    assert training.per_epoch == 2
    shown = torch.cat([training._images(step) for step in (2, 3)])
    pixels = np.concatenate([data.source_train.images(), data.target_train.images()])
    assert shown.min() >= 0 and shown.max() <= 1
    key = lambda images: sorted(tuple(row) for row in images.reshape(26, -1)[:, :8].tolist())  # noqa: E731
    assert key((shown * 255).round().numpy().astype(np.uint8)) == key(pixels)


def test_learning_rate(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    def rate(schedule: Any, epoch: int) -> float:
        options = representation.EncoderOptions("contrastive", 16, "code", 4, 8, 110, 2.0, schedule, 0)
        return representation.EncoderTraining(options, [tiny_task().source_train], artifacts.loop).rate(epoch)

    assert [rate("cosine", e) for e in (0, 10)] == [2.0, 2.0]
    assert rate("cosine", 60) == pytest.approx(1.0)
    assert rate("cosine", 110) == pytest.approx(0.0)
    assert rate("code", 20) == pytest.approx(1.0), "half of a period of 20 images"


def test_optimizer_is_that_of_the_official_code(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    options = representation.EncoderOptions("contrastive", 16, "code", 4, 8, 5, 3e-4, "cosine", 0)
    group = representation.EncoderTraining(options, [tiny_task().source_train], artifacts.loop).optimizer.param_groups[
        0
    ]
    assert (group["lr"], group["betas"], group["weight_decay"]) == (3e-4, (0.9, 0.999), 1e-6)


def test_torchs_global_generator_is_left_alone(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    modes.find(modes.Fields(classes="modes:4", **SMALL), tiny_task(), artifacts)
    assert torch.equal(torch.rand(3), wanted)


def test_training_lowers_the_loss(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    options = representation.EncoderOptions("contrastive", 16, "paper", 4, 16, 30, 3e-3, "cosine", 0)
    data = tiny_task(n_source=16)
    bank = data.source_train.bank  # images of one colour each: a crop of one is like the other
    bank.images[:] = np.random.default_rng(0).integers(0, 256, (len(bank.ids), 3, 1, 1))
    training = representation.EncoderTraining(options, [data.source_train], artifacts.loop)
    losses = [training.step(step)["contrastive"].item() for step in range(30)]
    assert losses[-1] < losses[0] - 0.2


CHILD = """
import os, signal, sys
from pathlib import Path
import torch
from bench.training.artifacts import Artifacts
from bench.training.compute import Compute
from bench.training.loop import Loop
from bench.methods import modes
from bench.core.progress import Reporter
from bench.data.task import load_task

class Killer(Reporter):
    left = int(sys.argv[2])
    def due(self):  # once a step
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return False

torch.set_num_threads(1)
fields = modes.Fields(classes="modes:4", encoder_width=4, encoder_epochs=2, encoder_batch=512, encoder_images="source")
artifacts = Artifacts(Path(sys.argv[1]), Loop(Compute.choose("cpu"), Killer(), checkpoint_seconds=0))
modes.find(fields, load_task("emoji", 20, 32), artifacts)
"""


def results_of(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.suffix in (".npy", ".safetensors")}


def test_a_killed_stage_goes_on_and_ends_bit_equal(tmp_path: Path) -> None:
    """A real process, killed by a signal that nothing can catch."""
    torch.set_num_threads(1)
    command = [sys.executable, "-c", CHILD, str(tmp_path / "killed"), "3"]
    assert subprocess.run(command, capture_output=True).returncode == -signal.SIGKILL
    fields = modes.Fields(
        classes="modes:4", encoder_width=4, encoder_epochs=2, encoder_batch=512, encoder_images="source"
    )
    said: list[str] = []
    for root in ("killed", "whole"):
        reporter = Reporter(every=1e9)
        reporter.say = said.append  # type: ignore
        artifacts = Artifacts(tmp_path / root, Loop(Compute.choose("cpu"), reporter))
        modes.find(fields, load_task("emoji", 20, 32), artifacts)
    assert [line for line in said if "goes on" in line] == ["modes: goes on from step 2"]
    killed, whole = results_of(tmp_path / "killed"), results_of(tmp_path / "whole")
    assert len(whole) == 3 and killed == whole


def test_artifact_files_are_plain(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    modes.find(modes.Fields(classes="modes:4", **SMALL), tiny_task(), artifacts)
    names = {p.name for p in artifacts.root.rglob("*") if p.is_file() and not p.name.startswith(".owner")}
    shared = {"weights.safetensors", "source.npy", "source.json"}
    assert names == shared | {"key.json", "code.json", "spent.json", "sha256.json", "train.jsonl"}
    (sizes,) = (json.loads(p.read_text())["sizes"] for p in artifacts.root.rglob("source.json"))
    assert sum(sizes) == 20 and len(sizes) == 4
