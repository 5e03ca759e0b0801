"""`bench show RUN --images DIR`: all translations that a run was measured by, as PNG files."""

from pathlib import Path

from bench.core.errors import UserError
from bench.core.placing import placed
from bench.data.task import load_task
from bench.runs.find import find_finished
from bench.runs.outputs import read_translations
from bench.runs.record import read_record
from bench.use.given import stems
from bench.use.translate_files import save_png


def write_held_out(run: str, results: Path, out: Path) -> str:
    """Writes the translation of the held-out source with the id `a/b.jpg` to out/a/b.png; returns what to say.

    `bench evaluate --images` reads such a folder back. Raises UserError where the run has no translations, or the data
    are not those that it was made on.
    """
    folder = find_finished(results, run)
    record = read_record(folder / "record.json")
    if record.status != "done":
        raise UserError(f"{folder} diverged ({record.error}): it has no translations")
    identity = record.identity
    data = load_task(identity.dataset, identity.target_size, identity.resolution, identity.subset_seed)
    if data.manifest_sha256 != record.task.manifest_sha256:
        raise UserError(f"the data of {folder} changed since it ran; put the old files back, or make a new run")
    translated = read_translations(folder)
    names = [f"{name}.png" for name in stems(data.source_test.ids)]
    with placed(out, names, "--images") as part:
        for name, image in zip(names, translated):
            save_png(part / name, image)
    return f"{len(names)} translations in {out}, each named like its held-out source"
