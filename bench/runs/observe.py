"""What is looked at while a run trains: samples, measures on training images, and what live loggers are told."""

from bench.runs.context import RunContext
from bench.runs.samples import write_samples
from bench.runs.translate import Translator
from bench.runs.validation import Validation
from bench.training import log
from bench.training.method import Method
from bench.training.pace import Pace

SAMPLES = 8  # times that samples.png is drawn, evenly spread


class Watch:
    """The observer of one training. Whatever it does counts as no training, and nothing of it reaches the method."""

    def __init__(self, context: RunContext, method: Method, sampler: Translator, pace: Pace) -> None:
        self._context = context
        self._method = method
        self._sampler = sampler
        self._pace = pace
        every = context.settings.validate_every
        self._every = None if every is None else max(1, round(1000 * every))  # images
        data, spec = context.data, context.spec
        self._validation = (
            None if every is None else Validation(method, data, spec.seed, context.compute, context.reporter)
        )

    def begin(self, step: int) -> None:
        log.cut(self._context.folder / log.VALIDATION, step)
        self._context.live.begin(step)

    def line(self, line: log.Line) -> None:
        self._context.live.line(line)

    def after(self, step: int) -> None:
        sample = _crosses(step * SAMPLES, SAMPLES, self._method.total_steps)
        validate = self._validation is not None and self._validates(step)
        if not sample and not validate:
            return
        self._method.train(False)
        with self._pace.pause(step * self._method.images_per_step):
            if validate:
                self._validate(step)
            if sample:
                self._sample(step)
        self._method.train()

    def _validates(self, step: int) -> bool:
        """After every so many images, and after the last step."""
        images = self._method.images_per_step
        last = step == self._method.total_steps
        return self._every is not None and (last or _crosses(step * images, images, self._every))

    def _validate(self, step: int) -> None:
        assert self._validation is not None
        line = self._validation.line(step, step * self._method.images_per_step)
        log.append(self._context.folder / log.VALIDATION, line)
        self._context.live.line(line)

    def _sample(self, step: int) -> None:
        write_samples(self._context.folder, self._sampler, self._context.data)
        self._context.live.picture(step, self._context.folder / "samples.png")


def _crosses(now: int, step: int, every: int) -> bool:
    """Whether a multiple of `every` lies in (now - step, now]."""
    return now // every > (now - step) // every
