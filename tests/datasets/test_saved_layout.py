"""Own data that Hugging Face's `datasets` saved to disk: the files of save_to_disk, written here by pyarrow."""

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.core.errors import UserError
from bench.data.find import find_bank, make
from bench.data.task import load_task

CLASSES = {"names": ["cat", "dog"], "_type": "ClassLabel"}
pytestmark = pytest.mark.usefixtures("arrow")


@pytest.fixture
def arrow() -> Any:
    """Without pyarrow the tests are skipped; in CI (I2I_BENCH_CI) they fail."""
    try:
        import pyarrow.ipc
    except ImportError:
        missing = "needs pyarrow (pip install 'i2i-bench[datasets]')"
        pytest.fail(missing) if os.environ.get("I2I_BENCH_CI") else pytest.skip(missing)
    return pyarrow


def png(value: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), (value, 9, 9)).save(file, "PNG")
    return file.getvalue()


def save(place: Path, columns: dict[str, list[Any]], features: dict[str, Any], shards: int = 1, **state: Any) -> Path:
    """What Dataset.save_to_disk leaves: Arrow streams, dataset_info.json and state.json."""
    import pyarrow

    place.mkdir(parents=True)
    kind = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    columns = {"image": pyarrow.array(columns["image"], kind), **{k: v for k, v in columns.items() if k != "image"}}
    table = pyarrow.table(columns)
    names = [f"data-{i:05}-of-{shards:05}.arrow" for i in range(shards)]
    step = -(-table.num_rows // shards)
    for i, name in enumerate(names):
        part = table.slice(i * step, step)
        with pyarrow.OSFile(str(place / name), "wb") as file, pyarrow.ipc.new_stream(file, part.schema) as stream:
            stream.write_table(part)
    (place / "dataset_info.json").write_text(json.dumps({"features": {"image": {"_type": "Image"}, **features}}))
    (place / "state.json").write_text(json.dumps({"_data_files": [{"filename": n} for n in names], **state}))
    return place


def images(*values: int) -> list[dict[str, Any]]:
    return [{"bytes": png(value), "path": None} for value in values]


def test_classes_of_a_data_set_with_splits(tmp_path: Path) -> None:
    for split, values in (("train", (1, 2, 3, 4)), ("test", (5, 6))):
        columns = {"image": images(*values), "label": [i % 2 for i in range(len(values))]}
        save(tmp_path / "saved" / split, columns, {"label": CLASSES}, shards=2)
    (tmp_path / "saved" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    task = load_task(f"folder:{tmp_path / 'saved'}:source=cat:target=dog", 2, 16)
    assert task.source_train.ids == ["train/000000", "train/000002"] and task.source_test.ids == ["test/000000"]
    assert task.source_train.images()[:, 0, 0, 0].tolist() == [1, 3]
    assert sorted(task.target_train.images()[:, 0, 0, 0].tolist()) == [2, 4]
    assert task.target_test.images()[:, 0, 0, 0].tolist() == [6]
    files = {f"{split}/data-0000{i}-of-00002.arrow" for split in ("train", "test") for i in (0, 1)}
    assert set(task.source_train.bank.files) == files


def test_a_column_of_domains_and_one_of_classes(tmp_path: Path) -> None:
    text = {"dtype": "string", "_type": "Value"}
    columns = {
        "image": images(*range(10)),
        "domain": ["source", "target"] * 5,
        "label": [0, 1, -1, 0, 1, 1, 0, 0, None, 1],
    }
    bank = find_bank(make(f"folder:{save(tmp_path / 'one', columns, {'domain': text, 'label': CLASSES})}"), 16)
    labels = {bank.images[row, 0, 0, 0]: int(bank.labels[row]) for row in range(10)}
    assert [labels[np.uint8(i)] for i in range(10)] == [0, 1, -1, 0, 1, 1, 0, 0, -1, 1]
    assert bank.splits.count("test") == 2


def test_rows_that_are_not_chosen_are_left_out_by_name(tmp_path: Path) -> None:
    columns = {"image": images(*range(5)), "label": [0, 1, 2, 1, -1]}
    place = save(tmp_path / "saved", columns, {"label": {**CLASSES, "names": ["cat", "dog", "owl"]}})
    dataset = make(f"folder:{place}:source=cat:target=dog")
    assert [item.id for item in dataset.scan(place)] == ["000000", "000001", "000003"]
    assert dataset.left_out(place) == {"rows of a domain that was not chosen": ["000002 (owl)", "000004 (None)"]}


def test_paths_instead_of_images_are_never_followed(tmp_path: Path) -> None:
    outside = tmp_path / "secret.png"
    outside.write_bytes(png(7))
    columns = {"image": [*images(1, 2, 3), {"bytes": None, "path": str(outside)}], "label": [0, 0, 1, 1]}
    place = save(tmp_path / "saved", columns, {"label": CLASSES})
    with pytest.raises(UserError, match=r"row 000003 of .* holds the path of an image and not the image"):
        find_bank(make(f"folder:{place}:source=cat:target=dog"), 16)


@pytest.mark.parametrize(
    ("features", "state", "message"),
    [
        ({"label": CLASSES, "other": {"_type": "Image"}}, {}, "has 2 columns of images"),
        ({"kind": CLASSES}, {}, "has no column domain or label"),
        ({"label": CLASSES}, {"_indices_data_files": [{"filename": "indices.arrow"}]}, "call flatten_indices"),
        ({"label": CLASSES}, {"_data_files": [{"filename": "../x.arrow"}]}, "lists no Arrow files beside it"),
        ({"label": CLASSES}, {"_data_files": [{"filename": "gone.arrow"}]}, r"cannot read .*gone.arrow"),
        ({"label": {"names": ["cat"], "_type": "ClassLabel"}}, {}, "has numbers without a name"),
    ],
)
def test_what_cannot_be_read_is_one_line(
    tmp_path: Path, features: dict[str, Any], state: dict[str, Any], message: str
) -> None:
    columns = {"image": images(1, 2), "label": [0, 1]}
    place = save(tmp_path / "saved", columns, features, **state)
    with pytest.raises(UserError, match=message) as caught:
        find_bank(make(f"folder:{place}:source=cat:target=dog"), 16)
    assert "\n" not in str(caught.value)


def test_without_pyarrow_one_line_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = save(tmp_path / "saved", {"image": images(1, 2), "label": [0, 1]}, {"label": CLASSES})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"is read with pyarrow: pip install 'i2i-bench\[datasets\]'"):
        find_bank(make(f"folder:{place}:source=cat:target=dog"), 16)


def damage_facts(place: Path, file: str, change: dict[str, Any]) -> None:
    facts = json.loads((place / file).read_text())
    (place / file).write_text(json.dumps({**facts, **change}))


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("dataset_info.json", {"features": {"image": {"_type": "Image"}, "domain": {}}}),
        ("dataset_info.json", {"features": {"picture": {"_type": "Image"}, "label": CLASSES}}),
        ("dataset_info.json", {"features": {"image": {"_type": "Image"}, "label": [1]}}),
        ("dataset_info.json", {"features": {"image": {"_type": "Image"}, "label": {"names": 5}}}),
        ("dataset_info.json", {"features": {"image": {"_type": "Image"}, "label": {"names": ["cat"]}}}),
        ("dataset_info.json", {"features": []}),
        ("state.json", {"_data_files": "data.arrow"}),
        ("state.json", {"_data_files": ["data.arrow"]}),
        ("state.json", {"_data_files": 5}),
        ("state.json", {"_data_files": [{"filename": "a\0.arrow"}]}),
        ("state.json", {"_data_files": [{"filename": "none.arrow"}]}),
        ("state.json", {"_data_files": [{"filename": "pipe.arrow"}]}),
    ],
)
def test_facts_that_do_not_fit_the_files_are_one_line(file: str, change: dict[str, Any], tmp_path: Path) -> None:
    place = save(tmp_path / "saved", {"image": images(*range(8)), "label": [0, 1] * 4}, {"label": CLASSES})
    os.mkfifo(place / "pipe.arrow")
    damage_facts(place, file, change)
    with pytest.raises(UserError):
        find_bank(make(f"folder:{place}:source=cat:target=dog"), 16)


def test_texts_in_a_column_of_numbered_classes_are_one_line(tmp_path: Path) -> None:
    place = save(tmp_path / "saved", {"image": images(*range(8)), "label": ["cat", "dog"] * 4}, {"label": CLASSES})
    with pytest.raises(UserError, match="has numbers without a name"):
        find_bank(make(f"folder:{place}:source=cat:target=dog"), 16)
