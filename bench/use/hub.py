"""A run's translator with its model card, as a folder and on the Hugging Face Hub."""

import shutil
import tempfile
from pathlib import Path

from bench.core.errors import UserError
from bench.core.files import write_text
from bench.core.placing import placed
from bench.runs.record import read_record
from bench.use.card import card
from bench.use.export import export, names_of
from bench.use.trained import Trained


def write_repository(trained: Trained, run: Path, out: Path) -> None:
    """Writes what a repository of the Hub holds: README.md, the translator as safetensors, its record, pictures.

    Raises UserError, and writes nothing, where one of these files is there already.
    """
    pictures = [name for name in ("samples.png",) if (run / name).is_file()]
    with placed(out, [*names_of("safetensors"), "README.md", *pictures]) as part:
        export(trained, run / "record.json", "safetensors", part)
        write_text(part / "README.md", card(read_record(run / "record.json")))
        for name in pictures:
            shutil.copyfile(run / name, part / name)


def push(trained: Trained, run: Path, repository: str) -> str:
    """Uploads `write_repository` to a model repository, made private where it is new; returns its address.

    The account is that of `hf auth login` or of the variable HF_TOKEN, the server that of HF_ENDPOINT.

    Raises UserError where huggingface_hub is missing or the Hub refuses.
    """
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError
    except ImportError:
        raise UserError("--push needs huggingface_hub: pip install 'i2i-bench[hub]'") from None
    with tempfile.TemporaryDirectory() as folder:
        write_repository(trained, run, Path(folder))
        api = HfApi()
        try:
            api.create_repo(repository, private=True, exist_ok=True)
            done = api.upload_folder(repo_id=repository, folder_path=folder, commit_message=f"Add {trained.name}")
        except (HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, OSError) as error:
            reason = " ".join(str(error).split())[:300]
            raise UserError(f"--push {repository}: the Hub refuses: {reason}; hf auth login, or set HF_TOKEN") from None
    return str(done.commit_url)
