"""Numbers of images, classes and channels, and resolutions, with which a method works or that it refuses."""

from bench.testing.case import Make


def a_target_smaller_than_the_batch(make: Make) -> None:
    """One target image is enough to train and translate, however large the batch.

    Mend: take target images from a stream of order "uniform", which repeats them.
    """
    case = make(n_target=1)
    case.train()
    case.translate()


def three_hundred_sources_and_three_targets(make: Make) -> None:
    """300 source images and 3 target images can be trained on and translated.

    Mend: do not assume that both domains have equally many images.
    """
    case = make(n_source=300, n_target=3)
    case.train()
    case.translate()


def one_class_and_forty_classes_and_none(make: Make) -> None:
    """Data sets with one class, with forty and with none work, or are refused by `check`.

    Mend: raise bench.Unfit in check for what the method cannot do.
    """
    for n_labels in (1, 40, 0):
        case = make(n_source=80, n_target=40, n_labels=n_labels)
        case.train(0, 1)
        case.translate()


def one_channel(make: Make) -> None:
    """Images of one channel work, or are refused by `check`.

    Mend: build the networks with task.channels.
    """
    case = make(channels=1)
    case.train(0, 1)
    assert case.translate().shape[1] == 1


def resolution_32(make: Make) -> None:
    """Images of 32 pixels work, or are refused by `check` or by the Config.

    Mend: build the networks from config.resolution, or raise bench.Unfit.
    """
    _resolution(make, 32)


def resolution_64(make: Make) -> None:
    """Images of 64 pixels work, or are refused by `check` or by the Config.

    Mend: build the networks from config.resolution, or raise bench.Unfit.
    """
    _resolution(make, 64)


def resolution_128(make: Make) -> None:
    """Images of 128 pixels work, or are refused by `check` or by the Config.

    Mend: build the networks from config.resolution, or raise bench.Unfit.
    """
    _resolution(make, 128)


def _resolution(make: Make, side: int) -> None:
    case = make(resolution=side)
    case.train(0, 1)
    assert case.translate().shape[-1] == side
