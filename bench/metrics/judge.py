"""The judge behind `translated` and `truth_retrieved`: the small ResNet, trained to look past small faults.

The network and the draws are those of bench.metrics.resnet, on all real training images of both domains, with twice the
steps. While it learns, brightness and contrast of every image vary, and blur, noise and JPEG blocks come and go
(bench.metrics.degradations), so that such faults make no image look like the other domain. `bench calibrate` shows how
far that goes.

The judges of the embedded data sets ship (bench.training.artifacts), so that a score means the same on every machine.
Another data set's is trained by the first run that needs it; two machines then have two judges, whose scores of the
same outputs have differed by up to 0.04. So a value names its judge, and values of two judges are not ranked together.
"""

from typing import TYPE_CHECKING

from bench.metrics import degradations, resnet

if TYPE_CHECKING:
    from bench.training.artifacts import Artifacts

VERSION = 1  # raise it when the same images give another judge
STEPS = 1200
SURE = 0.95  # the least probability of the target at which an image is called target


def cached(examples: resnet.Examples, artifacts: "Artifacts") -> resnet.ResNet:
    """The judge of these examples in evaluation mode, trained once and kept. A killed training goes on."""
    return resnet.cached(examples, artifacts, recipe())


def recipe() -> resnet.Recipe:
    return resnet.Recipe("judge", VERSION, STEPS, degradations.random)
