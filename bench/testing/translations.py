"""What a method promises of its translations."""

import torch

from bench.testing.case import CPU, Make, equal

LARGEST = 30.0  # an untrained output may leave [-1, 1]; nobody's is like 0 ... 255


def output_has_the_shape_range_and_dtype_of_the_source(make: Make) -> None:
    """`translate` gives finite float32 images of the shape of the sources, about in [-1, 1].

    Mend: end the generator with a tanh, and return float32 (N, C, S, S) whatever autocast does.
    """
    case = make()
    case.train()
    images = case.translate()
    assert images.shape == case.data.source_test.images().shape
    assert images.dtype == torch.float32
    assert torch.isfinite(images).all()
    assert images.abs().max() < LARGEST, "images are meant to be in [-1, 1]"


def guidance_is_what_the_method_says(make: Make) -> None:
    """Translations depend on noise or on references exactly where `guidance` says so.

    Mend: set guidance to none, noise or reference, and draw noise from the rng that translate gets.
    """
    case = make()
    case.train()
    plain = case.translate()
    assert torch.equal(plain, case.translate()), "equal codes give different outputs"
    other_noise, other_reference = case.translate(noise=1), case.translate(first_reference=1)
    if case.method.guidance == "noise":
        assert not torch.equal(plain, other_noise), "different noise gives equal outputs"
    else:
        assert torch.equal(plain, other_noise), "the output depends on noise"
    if case.method.guidance == "reference":
        assert not torch.equal(plain, other_reference), "different references give equal outputs"


def the_steps_of_a_translation_end_with_it(make: Make) -> None:
    """The steps of a translation, where a method has several, end with the translation.

    Mend: let the last image that translate_steps yields be what translate returns for equal noise.
    """
    case = make()
    case.train()
    whole = case.translate()
    case.method.train(False)
    steps = case.method.translate_steps(*case.arguments())
    assert all(image.shape == whole.shape for image in steps)
    assert torch.equal(steps[-1], whole)


def the_way_back_and_the_bottlenecks_fit(make: Make) -> None:
    """The way back gives images of the same shape, equal for equal noise; the bottlenecks give codes of one shape.

    Mend: return images of the shape of the input from translate_back, and codes of one shape from bottleneck, or
    None.
    """
    case = make()
    method, images = case.method, CPU.images(case.data.target_test.images())
    method.train(False)
    with torch.inference_mode():
        back = [method.translate_back(images, torch.Generator().manual_seed(0)) for _ in range(2)]
        codes = [method.bottleneck(images, name) for name in (case.data.source_train.name, case.data.target_train.name)]
    if back[0] is not None and back[1] is not None:
        assert back[0].shape == images.shape and torch.isfinite(back[0]).all()
        assert torch.equal(back[0], back[1])
    if codes[0] is not None and codes[1] is not None:
        assert codes[0].shape == codes[1].shape and len(codes[0]) == len(images)
    assert (codes[0] is None) == (codes[1] is None)


def translate_leaves_no_trace(make: Make) -> None:
    """`translate` builds no graph and changes neither weights, buffers nor generators.

    Mend: decorate translate with @torch.no_grad(), and draw from the rng that it gets.
    """
    case = make()
    case.train()
    before, global_state = case.parameters(), torch.get_rng_state()
    own = case.method.rng.get_state()
    assert not case.translate().requires_grad
    assert equal(before, case.parameters()), "translate changed weights or buffers"
    assert torch.equal(global_state, torch.get_rng_state()), "translate drew from torch's global generator"
    assert torch.equal(own, case.method.rng.get_state()), "translate drew from the generator of training"
