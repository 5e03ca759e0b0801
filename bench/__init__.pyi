"""The public API. `bench/__init__.py` reads this list and imports each name when it is first asked for."""

import types

from .api import Run as Run
from .api import evaluate as evaluate
from .api import load_results as load_results
from .api import load_run as load_run
from .api import run as run
from .core.errors import Unfit as Unfit
from .core.errors import UserError as UserError
from .core.errors import unknown as unknown
from .core.files import digest as digest
from .core.files import write_json as write_json
from .core.paths import cache_root as cache_root
from .core.paths import expand_home as expand_home
from .core.paths import weights_folder as weights_folder
from .core.registry import register as register
from .core.typed import read_typed as read_typed
from .data.dataset import Dataset as Dataset
from .data.dataset import Item as Item
from .data.images import IMAGE_SUFFIXES as IMAGE_SUFFIXES
from .data.images import image_files as image_files
from .data.images import read_rgb as read_rgb
from .data.images import square as square
from .data.images import unread_images as unread_images
from .data.modality import VOID as VOID
from .data.modality import depth_image as depth_image
from .data.modality import grey_image as grey_image
from .data.modality import label_image as label_image
from .data.modality import nearest_square as nearest_square
from .data.modality import read_values as read_values
from .data.task import Domain as Domain
from .data.task import TaskData as TaskData
from .data.task import companions as companions
from .data.task import load_task as load_task
from .metrics.weights import pretrained_weights as pretrained_weights
from .training.artifacts import Artifacts as Artifacts
from .training.augment import Augment as Augment
from .training.augment_d import DiscriminatorFields as DiscriminatorFields
from .training.config import setting as setting
from .training.loop import Loop as Loop
from .training.loop import Remembers as Remembers
from .training.method import Config as Config
from .training.method import Guidance as Guidance
from .training.method import Method as Method
from .training.method import Task as Task
from .training.sampler import Batch as Batch
from .training.sampler import Stream as Stream
from .training.share import as_in_first_turn as as_in_first_turn

__version__: str
methods: types.ModuleType
datasets: types.ModuleType
