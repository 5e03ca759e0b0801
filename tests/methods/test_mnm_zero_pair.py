"""M&MNets between modalities, against thesis and official code, hand calculations and the data that ship."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from bench.core.errors import UserError
from bench.data import modality as stored
from bench.data.task import TaskData, load_task
from bench.methods.mnm_zero_pair import MNMZeroPair, ZeroPairConfig, find_anchor
from bench.methods.nn import mnm_networks as nets
from bench.methods.nn.modalities import Modality, alignment_factor, berhu, cross_entropy, zoomed
from bench.training.artifacts import Artifacts
from bench.training.compute import Compute, to_uint8
from bench.training.config import build
from bench.training.method import Task
from bench.training.sampler import Batch, Sampler

MakeTask = Callable[..., TaskData]
RGBD = ("depth", "segmentation", "rgb"), ("depth", "labels", "rgb")
SMALL = ("resolution=64", "width=4", "batch_size=2", "rgb_init=random", "n_ids=3", "budget_kimg=0.02")


def make(*settings: str, names: tuple[str, ...] = RGBD[0], kinds: tuple[str, ...] = RGBD[1]) -> MNMZeroPair:
    config = build(ZeroPairConfig, MNMZeroPair.presets, "paper", [*SMALL, *settings])
    torch.manual_seed(0)
    model = MNMZeroPair(Task(config.resolution, 20, 6, 0, names=names, kinds=kinds), config)
    model.anchor = "rgb"
    model.train()
    return model


def scene(model: MNMZeroPair, n: int = 2) -> dict[str, Tensor]:
    """One image of every modality of the same n scenes, as the bank would give it."""
    rng = np.random.default_rng(0)
    side = model.config.resolution
    pixels = {
        "rgb": rng.integers(0, 256, (n, 3, side, side), dtype=np.uint8),
        "segmentation": np.stack([stored.label_image(rng.integers(0, 3, (side, side))) for _ in range(n)]),
        "depth": np.stack([stored.depth_image(rng.uniform(0.5, 9, (side, side)), 20) for _ in range(n)]),
    }
    return {name: Compute.choose("cpu").images(image) for name, image in pixels.items()}


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_parameter_counts_of_the_official_networks() -> None:
    with torch.device("meta"):
        config = ZeroPairConfig(rgb_init="random")
        model = MNMZeroPair(Task(256, 100, 10, 0, names=RGBD[0], kinds=RGBD[1]), config)
        counts = {name: count(network) for name, network in model.networks.items()}
        assert counts == {
            "f_rgb": 14_714_688, "f_depth": 14_721_984, "f_segmentation": 14_729_472, "g_depth": 14_720_449,
            "g_segmentation": 14_727_950, "g_rgb": 10_862_083, "C_rgb": 4_308_352,
        }  # fmt: skip
        task = Task(256, 100, 10, 0, names=RGBD[0], kinds=RGBD[1])
        head = MNMZeroPair(task, replace(config, seg_head="bn_relu"))
        assert count(head.networks["g_segmentation"]) == 14_727_978
        assert count(nets.RgbDiscriminator(64, 2, head=False)) == 4_308_352
        opponent = build(ZeroPairConfig, MNMZeroPair.presets, "opponent", [])
        names, kinds = ("theta2", "rgb", "theta1"), ("grey", "rgb", "grey")
        flowers = MNMZeroPair(Task(128, 100, 10, 0, names=names, kinds=kinds), opponent)
        counts = {name: count(network) for name, network in flowers.networks.items()}
        assert counts["f_rgb"] == 40_562_176 and counts["f_theta1"] == counts["f_theta2"] == 40_555_904
        assert counts["g_rgb"] == 40_561_411 and counts["g_theta1"] == 40_555_137 and counts["C_rgb"] == 2_757_057


def test_initialisation() -> None:
    """Normal (0, 0.02), of the forward convs cut off at two deviations (whose deviation is 0.8796 times as large)."""
    for setting, std in (("init_std=0.02", 0.02), ("init_std=0.5", 0.5)):
        model = make(setting, "width=16")
        for network in model.networks.values():
            for module in network.modules():
                if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                    assert module.bias is not None and (module.bias == 0).all()
                    cut = isinstance(module, nn.Conv2d)
                    if module.weight.numel() > 5000:
                        assert module.weight.std().item() == pytest.approx(std * (0.8796 if cut else 1), rel=0.05)
                    assert not cut or module.weight.abs().max() <= 2 * std
                if isinstance(module, nn.BatchNorm2d):
                    assert (module.weight == 1).all() and (module.eps, module.momentum) == (1e-5, 0.1)


def test_map_sides_of_the_official_networks() -> None:
    with torch.device("meta"):
        x = torch.empty(1, 3, 256, 256)
        latent = nets.VggEncoder(3, 64, norm=False)(x)
        assert latent.code.shape == (1, 512, 8, 8)
        assert nets.RgbDecoder(64)(latent).shape == x.shape
        assert nets.VggDecoder(14, 64, "pooling_indices")(latent).shape == (1, 14, 256, 256)
        assert nets.RgbDiscriminator(64, 1, head=False)(x).shape == (1, 512, 32, 32)
        assert nets.RgbDiscriminator(64, 2, head=True)(x).shape == (1, 1, 16, 16)


@pytest.mark.parametrize("side", ["pooling_indices", "skip", "none"])
def test_any_encoder_joins_any_decoder(side: str) -> None:
    """Check 2: seen and unseen pairs."""
    model = make(f"side={side}")
    images = scene(model)
    for i in RGBD[0]:
        for j, width in (("depth", 1), ("segmentation", 3), ("rgb", 3)):
            assert model._decode(model._encode(i, images[i]), j).shape == (2, width, 64, 64)


def test_the_rgb_decoder_ignores_indices() -> None:
    model = make().networks
    latent = model["f_rgb"](torch.rand(1, 3, 64, 64))
    moved = nets.Latent(latent.code, latent.maps, tuple(index.flip(-1) for index in latent.indices))
    assert torch.equal(model["g_rgb"].eval()(latent), model["g_rgb"](moved))
    assert not torch.equal(model["g_depth"].eval()(latent), model["g_depth"](moved))


def test_berhu_by_hand() -> None:
    """One image with errors 0, 0.1, 1 (c = 0.2): 0 + 0.1 + (1 + 0.04) / 0.4 = 2.7; the other with none: 0."""
    truth = torch.zeros(2, 1, 1, 3)
    found = torch.tensor([[0.0, 0.1, -1.0], [0.0, 0.0, 0.0]]).reshape(2, 1, 1, 3)
    assert berhu(found, truth).item() == pytest.approx((2.7 / 3 + 0) / 2)
    valid = torch.tensor([[1, 1, 0], [1, 1, 1]]).reshape(2, 1, 1, 3).bool()
    # without the largest error c = 0.02 and the cost of 0.1 is (0.01 + 0.0004) / 0.04 = 0.26, over two pixels
    assert berhu(found, truth, valid).item() == pytest.approx((0.26 / 2) / 2)


def test_berhu_is_finite_at_zero_and_at_least_l1() -> None:
    """Check 4."""
    x = torch.rand(3, 1, 4, 4, requires_grad=True)
    loss = berhu(x, x.detach())
    loss.backward()
    assert loss.item() == 0 and x.grad is not None and torch.isfinite(x.grad).all()
    a, b = torch.rand(3, 1, 4, 4), torch.rand(3, 1, 4, 4)
    assert berhu(a, b) > F.l1_loss(a, b)


def test_cross_entropy_leaves_unlabelled_pixels_out() -> None:
    logits = torch.tensor([[[[0.0, 5.0]], [[0.0, 1.0]]]])  # two ids, two pixels
    ids = torch.tensor([[[1, 255]]])
    assert cross_entropy(logits, ids, 2).item() == pytest.approx(np.log(2))
    assert cross_entropy(logits, torch.full((1, 1, 2), 255), 2).item() == 0


def test_modalities_go_through_the_bank_and_back() -> None:
    rng = np.random.default_rng(1)
    compute = Compute.choose("cpu")
    ids = rng.integers(0, 5, (8, 8))
    ids[0, 0] = 255
    segmentation = Modality("labels", ids=5)
    image = compute.images(stored.label_image(ids)[None])
    raw = segmentation.read(image)
    assert raw.shape == (1, 5, 8, 8) and raw[0, :, 0, 0].sum() == 0
    assert (raw[0].argmax(0).numpy() == ids)[1:].all()
    assert (stored.label_ids(to_uint8(segmentation.write(raw)))[0] == ids)[1:].all()

    metres = rng.uniform(0.2, 19, (8, 8))
    depth = Modality("depth", far=20)
    raw = depth.read(compute.images(stored.depth_image(metres, 20)[None]))
    assert raw[0, 0].numpy() == pytest.approx(metres, rel=0.01)
    back = stored.depth_metres(to_uint8(depth.write(raw)), 20)[0]
    assert back == pytest.approx(metres, rel=0.03)  # one byte of the coding

    grey = Modality("grey")
    raw = grey.read(compute.images(stored.grey_image(np.full((8, 8), 0.75))[None]))
    assert raw.shape == (1, 1, 8, 8) and raw.mean().item() == pytest.approx(0.5, abs=0.01)
    assert grey.write(raw).shape == (1, 3, 8, 8)


def test_scenes_are_zoomed_about_their_centre_in_all_modalities() -> None:
    """By hand on 4x4: half the size keeps the nearest pixel of each pair in the middle, twice the size the centre."""
    model = make()
    ids = torch.arange(16).reshape(4, 4)
    images = torch.stack([Compute.choose("cpu").images(stored.label_image(ids.numpy())[None])[0]] * 3)
    found = model.modalities["segmentation"].ids_of(zoomed(images, torch.tensor([1.0, 0.5, 2.0]), "labels"))
    assert torch.equal(found[0], ids)
    assert (found[1] == 255).sum() == 12 and (found[1, 1:3, 1:3] < 16).all(), "what comes in is unlabelled"
    assert torch.equal(found[2], ids[1:3, 1:3].repeat_interleave(2, 0).repeat_interleave(2, 1))
    for kind in ("rgb", "depth", "grey"):
        assert (zoomed(torch.ones(1, 3, 4, 4), torch.tensor([0.5]), kind)[0, :, 0] == -1).all()


def test_both_images_of_a_scene_move_alike() -> None:
    x = torch.rand(6, 3, 64, 64) * 2 - 1
    for settings in (("flip=true", "zoom=0"), ("flip=false", "zoom=0.1"), ("flip=true", "zoom=0.1")):
        a, b = make(*settings)._augmented(x, x.clone(), "depth")
        assert torch.equal(a, b) and not torch.equal(a, x)
    a, b = make("flip=false", "zoom=0")._augmented(x, x, "depth")
    assert a is x and b is x


def generator_terms(model: MNMZeroPair, scenes: dict[str, tuple[Tensor, Tensor]], stage: int) -> dict[str, Tensor]:
    model.minimise = lambda name, loss: None  # type: ignore[method-assign]
    return model._translators(scenes, stage)[0]


def test_stage_one_loss_by_hand() -> None:
    """Seen translations only: R -> S, R -> D, and back with L2 and GAN; weights 1, 1, 100, 10."""
    model = make("stage1_share=1", "stage2_share=0")
    images = scene(model)
    x, y, z = images["rgb"], images["segmentation"], images["depth"]
    for network in model.networks.values():  # no batch statistics, so that passes can be repeated
        network.eval()
    net = model.networks
    terms = generator_terms(model, {"segmentation": (x, y), "depth": (x, z)}, 0)
    of = {name: model._encode(name, images[name]) for name in images}
    ids = model.modalities["segmentation"].ids_of(y)
    metres = model.modalities["depth"].read(z)
    assert terms["seen_segmentation"].item() == pytest.approx(
        100 * F.cross_entropy(net["g_segmentation"](of["rgb"]), ids).item(), rel=1e-5
    )
    assert terms["seen_depth"].item() == pytest.approx(10 * berhu(net["g_depth"](of["rgb"]), metres).item(), rel=1e-5)
    made = [net["g_rgb"](of["segmentation"]), net["g_rgb"](of["depth"])]
    assert terms["seen_rgb"].item() == pytest.approx(sum(((m - x) ** 2).mean().item() for m in made), rel=1e-5)
    scores = [net["C_rgb"](m) for m in made]
    assert scores[0].shape[1] == 32  # all channels are scores
    assert terms["gan_rgb"].item() == pytest.approx(sum(((s - 1) ** 2).mean().item() for s in scores), rel=1e-5)
    assert not {name for name in terms if name.startswith(("auto", "latent", "pseudo"))}


def test_later_stages_add_what_the_table_says() -> None:
    model = make("latent_noise_std=0")
    images = scene(model)
    x, y, z = images["rgb"], images["segmentation"], images["depth"]
    for network in model.networks.values():
        network.eval()
    net = model.networks
    scenes = {"segmentation": (x, y), "depth": (x, z)}
    second, third = generator_terms(model, scenes, 1), generator_terms(model, scenes, 2)
    of = {name: model._encode(name, images[name]) for name in images}
    metres = model.modalities["depth"].read(z)
    assert second["auto_depth"].item() == pytest.approx(
        10 * berhu(net["g_depth"](of["depth"]), metres).item(), rel=1e-5
    )
    assert second["auto_rgb"].item() == pytest.approx(2 * 100 * F.mse_loss(net["g_rgb"](of["rgb"]), x).item(), rel=1e-5)
    apart = sum(F.mse_loss(of["rgb"].code, of[name].code).item() for name in ("segmentation", "depth"))
    assert second["latent"].item() == pytest.approx(10 * apart, rel=1e-4)
    assert "pseudo" not in second
    labels = net["g_segmentation"](of["rgb"]).argmax(1)
    pseudo = berhu(net["g_depth"](of["segmentation"]), net["g_depth"](of["rgb"]))
    pseudo = pseudo + F.cross_entropy(net["g_segmentation"](of["depth"]), labels)
    assert third["pseudo"].item() == pytest.approx(100 * pseudo.item(), rel=1e-5)
    expected = F.cosine_similarity(of["rgb"].code.flatten(1), of["depth"].code.flatten(1)).mean()
    assert third["alignment/depth"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_codes_preset_weighs_autoencoders_ten() -> None:
    scenes = ("latent_noise_std=0", "loss_preset=code"), ("latent_noise_std=0",)
    found = []
    for settings in scenes:
        model = make(*settings)
        images = scene(model)
        for network in model.networks.values():
            network.eval()
        found.append(generator_terms(model, {"segmentation": (images["rgb"], images["segmentation"])}, 1))
    assert found[0]["auto_segmentation"].item() == pytest.approx(found[1]["auto_segmentation"].item() / 10, rel=1e-5)
    assert found[0]["auto_rgb"].item() == pytest.approx(found[1]["auto_rgb"].item(), rel=1e-5)


@pytest.mark.parametrize(("preset", "steps", "factor"), [("thesis", (0, 1), 1.0), ("code", (0,), 5.0)])
def test_discriminator_by_hand(preset: str, steps: tuple[int, ...], factor: float) -> None:
    """(C(x) - 1)^2 + C(fake)^2 in every step; in the code ten times the half of it, in every second step."""
    model = make(f"loss_preset={preset}")
    network = model.networks["C_rgb"].eval()
    seen: dict[int, float] = {}
    reals, fakes = ([torch.rand(2, 3, 64, 64) for _ in range(n)] for n in (2, 4))
    for step in (0, 1):
        model.minimise = lambda name, loss, step=step: seen.__setitem__(step, loss.item())  # type: ignore
        model._discriminators({"rgb": reals}, {"rgb": fakes}, step)
    on_real, on_fake = network(torch.cat(reals)), network(torch.cat(fakes))
    expected = factor * ((on_real - 1).square().mean() + on_fake.square().mean()).item()
    assert seen == {step: pytest.approx(expected, rel=1e-5) for step in steps}


def test_the_discriminator_sees_both_translations_and_both_autoencodings(tiny_task: MakeTask) -> None:
    model = make()
    images = scene(model)
    model.minimise = lambda name, loss: None  # type: ignore[method-assign]
    scenes = {name: (images["rgb"], images[name]) for name in ("segmentation", "depth")}
    for stage, outputs in ((0, 2), (1, 4)):
        _, reals, fakes = model._translators(scenes, stage)
        assert {name: len(found) for name, found in fakes.items()} == {"rgb": outputs}
        assert len(reals["rgb"]) == 2 and not any(fake.requires_grad for fake in fakes["rgb"])


def test_pseudo_labels_are_hard_or_soft() -> None:
    segmentation = Modality("labels", ids=2)
    raw, teacher = torch.zeros(1, 2, 1, 1), torch.tensor([2.0, 0.0]).reshape(1, 2, 1, 1)
    raw[0, 1] = 1
    by_class = -raw.log_softmax(1).flatten()
    share = torch.sigmoid(torch.tensor(2.0))
    assert segmentation.imitate(raw, teacher).item() == pytest.approx(by_class[0].item())
    expected = share * by_class[0] + (1 - share) * by_class[1]
    assert segmentation.imitate(raw, teacher, hard=False).item() == pytest.approx(expected.item())


@pytest.mark.parametrize(
    ("setting", "missing"),
    [("autoencoders=false", "auto_"), ("latent_consistency=false", "latent"), ("pseudo_pairs=false", "pseudo")],
)
def test_ablations(setting: str, missing: str) -> None:
    model = make(setting)
    images = scene(model)
    terms = generator_terms(model, {n: (images["rgb"], images[n]) for n in ("segmentation", "depth")}, 2)
    assert not any(name.startswith(missing) for name in terms)


def batches(model: MNMZeroPair) -> dict[str, Batch]:
    images, none = scene(model), torch.zeros(2, dtype=torch.int64)
    found = {name: Batch(images[name], none, none) for name in ("segmentation", "depth")}
    return found | {f"rgb of {name}": Batch(images["rgb"], none, none) for name in ("segmentation", "depth")}


def test_stage_two_freezes_the_rgb_encoder() -> None:
    """Check 3, first half: no parameter and no buffer changes; before, they do."""
    for settings, changes in ((("stage1_share=1", "stage2_share=0"), True), (("stage1_share=0",), False)):
        model = make(*settings)
        before = {key: value.clone() for key, value in model.networks["f_rgb"].state_dict().items()}
        others = model.networks["f_depth"].state_dict()["levels.0.0.weight"].clone()
        model.train_step(batches(model))
        after = model.networks["f_rgb"].state_dict()
        assert any(not torch.equal(before[key], after[key]) for key in before) == changes
        assert not torch.equal(others, model.networks["f_depth"].state_dict()["levels.0.0.weight"])


def test_pseudo_pairs_teach_the_unseen_join_alone() -> None:
    """Check 3, second half: no gradient to the teacher's encoder, and to a decoder only through the unseen branch."""
    model = make("latent_noise_std=0")
    images = scene(model)
    of_x, of_y = model._encode("rgb", images["rgb"]), model._encode("segmentation", images["segmentation"])
    model._pseudo(of_x, of_y, "depth").backward()
    touched = {name for name, net in model.networks.items() if any(p.grad is not None for p in net.parameters())}
    assert touched == {"f_segmentation", "g_depth"}


def test_stages_and_learning_rate() -> None:
    model = make("budget_kimg=0.02", "batch_size=1")  # 20 steps: 8, 8, 4
    assert [model.stage(step) for step in (0, 7, 8, 15, 16, 19)] == [0, 0, 1, 1, 2, 2]
    assert [model.rate(step) for step in (0, 15, 16)] == [1, 1, 0.1]


def test_noise_is_signed_or_as_in_the_code() -> None:
    latent = nets.Latent(torch.zeros(1, 8, 32, 32))
    thesis, code = make(), make("loss_preset=code")
    noise = thesis._noisy(latent, False).code
    assert noise.std().item() == pytest.approx(0.5, rel=0.05) and noise.min() < 0
    assert code._noisy(latent, True).code.min() >= 0
    assert torch.equal(code._noisy(latent, False).code, latent.code)


def test_multi_modal_inference() -> None:
    """Section 5 and check 5: alpha = 0 is the anchor alone, side information is the anchor's."""
    images = scene(make())
    for alpha in (0.0, 0.2, 1.0):
        model = make(f"alpha={alpha}", "companion=true")
        model.companion = "rgb"
        model.train(False)
        of_rgb, of_depth = model._encode("rgb", images["rgb"]), model._encode("depth", images["depth"])
        code = (1 - alpha) * of_rgb.code + alpha * of_depth.code
        raw = model.networks["g_segmentation"](nets.Latent(code, of_rgb.maps, of_rgb.indices))
        expected = raw.argmax(1)
        found = model.translate(images["depth"], reference=images["rgb"])
        assert torch.equal(model.modalities["segmentation"].ids_of(found), expected)


def test_latents_at_three_poolings() -> None:
    model = make("latent_levels=pools")
    images = scene(model)
    a, b = model._encode("rgb", images["rgb"]), model._encode("depth", images["depth"])
    expected = sum(F.mse_loss(F.max_pool2d(a.maps[i], 2), F.max_pool2d(b.maps[i], 2)).item() for i in (2, 3))
    assert model._apart(a, b).item() == pytest.approx(expected + F.mse_loss(a.code, b.code).item(), rel=1e-5)


def test_alignment_factor() -> None:
    a = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    assert alignment_factor(a, a).item() == pytest.approx(1)
    assert alignment_factor(a, a.flip(1)).item() == pytest.approx(0, abs=1e-6)


@pytest.fixture(scope="module")
def opponent(bank_cache: Path) -> TaskData:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("I2I_BENCH_CACHE", str(bank_cache))
        return load_task("emoji-opponent", 300, 32)


def test_training_never_shows_the_unseen_pair(opponent: TaskData, artifacts: Artifacts) -> None:
    """On emoji-opponent: pairs show one scene, and theta2 and rgb never share one."""
    config = build(ZeroPairConfig, MNMZeroPair.presets, "smoke", ["batch_size=16"])
    domains = [opponent.source_train, opponent.target_train, *opponent.others.values()]
    names, kinds = tuple(d.name for d in domains), tuple(d.kind for d in domains)
    assert (names, kinds) == (("theta2", "rgb", "theta1"), ("grey", "rgb", "grey"))
    model = MNMZeroPair(Task(32, 1, 1, 9, names=names, kinds=kinds), config)
    model.prepare(opponent, artifacts)
    assert model.anchor == "theta1"
    pairs = {domain.name: domain.pairs for domain in domains}
    assert not set(pairs["theta2"]) & set(pairs["rgb"])
    sampler = Sampler(model.streams(opponent), opponent, 0, Compute.choose("cpu"))
    batch = sampler.batch(0)
    for name in ("theta2", "rgb"):
        anchors, partners = batch[f"theta1 of {name}"].index.tolist(), batch[name].index.tolist()
        assert [pairs["theta1"][i] for i in anchors] == [pairs[name][i] for i in partners]
        assert len(set(partners)) > 10
    red, green = (batch["rgb"].image[:, c] for c in (0, 1))
    assert torch.allclose(batch["theta1 of rgb"].image.mean(1), (red - green) / 2, atol=0.01)  # equation 4.14
    model.train_step(batch)


def test_the_two_training_sets_of_pairs_are_disjoint(opponent: TaskData) -> None:
    """Of all images, not only those of a subset: no emoji is in both sets, in whichever style, and none is held out."""
    bank = opponent.source_train.bank
    scenes = {
        (domain, split): {str(bank.pairs[row]) for row in bank.rows(domain, split)}
        for domain in ("theta1", "theta2", "rgb")
        for split in ("train", "test")
    }
    code_points = {key: {scene.split("/")[1] for scene in found} for key, found in scenes.items()}
    assert not code_points["theta2", "train"] & code_points["rgb", "train"]
    assert scenes["theta1", "train"] == scenes["theta2", "train"] | scenes["rgb", "train"]
    assert scenes["theta1", "test"] == scenes["theta2", "test"] == scenes["rgb", "test"], "the truth of each source"
    assert not code_points["theta1", "train"] & code_points["theta1", "test"]
    assert (len(scenes["theta2", "train"]), len(scenes["rgb", "train"]), len(scenes["rgb", "test"])) == (
        1560,
        1488,
        764,
    )


def test_the_seen_task_takes_its_source_as_anchor(bank_cache: Path) -> None:
    task = load_task("emoji-opponent:theta1-rgb", 300, 32)
    domains = {"theta1": task.source_train, "rgb": task.target_train, **task.others}
    assert find_anchor(domains, {"theta1": "grey", "rgb": "rgb", "theta2": "grey"}) == "theta1"


def test_vgg16_of_the_lpips_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights by torchvision's layer numbers, in their order; a network of another width is refused."""
    encoder = nets.VggEncoder(3, 64, norm=False)
    convs = [module for module in encoder.modules() if isinstance(module, nn.Conv2d)]
    layers = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # torchvision.models.vgg16().features
    content = {
        f"features.{n}.weight": torch.full_like(conv.weight, i) for i, (n, conv) in enumerate(zip(layers, convs))
    }
    content |= {f"features.{n}.bias": torch.full((len(c.weight),), 0.5) for n, c in zip(layers, convs)}
    save_file(content, tmp_path / "vgg.safetensors")
    monkeypatch.setattr(nets, "pretrained_weights", lambda name: {"lpips-vgg16": tmp_path / "vgg.safetensors"}[name])
    nets.load_vgg16(encoder)
    assert [conv.weight.unique().tolist() for conv in convs] == [[i] for i in range(13)]
    with pytest.raises(UserError, match="width=64"):
        nets.load_vgg16(nets.VggEncoder(3, 8, norm=False))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (("resolution=48",), "multiple of 32"),
        (("stage1_share=0.7", "stage2_share=0.7"), "together at most 1"),
        (("alpha=2",), "alpha=2.0: choose a number of at least 0 and at most 1"),
    ],
)
def test_bad_settings(settings: tuple[str, ...], says: str) -> None:
    with pytest.raises(UserError, match=says):
        make(*settings)


def test_two_domains_are_refused_before_any_training() -> None:
    with pytest.raises(UserError, match="use mnm for two domains"):
        make(names=("a", "b"), kinds=("rgb", "rgb"))


def test_domains_without_an_anchor(tiny_task: MakeTask) -> None:
    data = tiny_task()
    domains = {"a": data.source_train, "b": data.target_train}
    with pytest.raises(UserError, match="needs one"):
        find_anchor(domains, {"a": "rgb", "b": "rgb"})
