"""Records: validated, atomic, and one damaged record never hides the others."""

import json
from pathlib import Path

import pytest
from as_record import as_record
from msgspec.structs import replace

from bench.core.errors import UserError
from bench.runs.record import Cost, read_record, read_records, write_record
from bench.runs.spec import RunSpec, slug


def record(**changes: object) -> dict:
    identity = {
        "method": "m", "kind": "method", "dataset": "d", "target_size": 5, "seed": 0, "subset_seed": 0, "preset": "cpu",
        "config_hash": "0", "resolution": 32, "protocol": "default", "amp": "off",
    }  # fmt: skip
    value = {"value": 1.0, "low": None, "high": None, "n_gen": 5, "n_ref": 5, "version": 1, "reason": None}
    whole = {
        "identity": identity, "task": {}, "config": {}, "status": "done", "error": None,
        "metrics": {"kd_effnet": value}, "cost": {}, "provenance": {}, "finished": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    return {**whole, **changes}


def parts(value: object) -> dict:
    return {"miou": {"value": 1.0, "n_gen": 5, "n_ref": 5, "version": 1, "parts": value}}


def later(provenance: dict) -> dict:
    return {"finished": "2026-01-02T00:00:00+00:00", "metrics": [], "replaced": {}, "provenance": provenance}


def test_parts_are_numbers_or_nothing(tmp_path: Path) -> None:
    write_record(tmp_path, as_record(record(metrics=parts({"cats": 0.5, "dogs": None}))))
    assert read_record(tmp_path / "record.json").metrics["miou"].parts == {"cats": 0.5, "dogs": None}


def test_round_trip(tmp_path: Path) -> None:
    write_record(tmp_path, as_record(record()))
    assert read_record(tmp_path / "record.json") == replace(as_record(record()), folder=str(tmp_path))
    assert not {"folder", "added", "remeasured"} & json.loads((tmp_path / "record.json").read_text()).keys()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"schema": 99}', "update i2i-bench"),
        ("{", "is damaged: it is not JSON"),
        ("[]", "it must be a table of keys, not a list"),
        (json.dumps({"schema": 1, **record(status="fine")}), "status cannot be 'fine'"),
        (
            json.dumps({"schema": 1, **record(metrics={"x": {"value": "1"}})}),
            "metrics.x.value must be a number or null, not text",
        ),
        (json.dumps({"schema": 1, **record(identity={})}), "identity.method is missing"),
        *(
            (
                json.dumps({"schema": 1, **record(identity={**record()["identity"], key: value})}),
                f"identity.{key} must be",
            )
            for key, value in (("seed", -1), ("target_size", 0), ("resolution", 0), ("amp", "fp64"))
        ),
        (json.dumps({"schema": 1, **record(metrics=parts({"cats": "0.5"}))}), "metrics.miou.parts.cats must"),
        (json.dumps({"schema": 1, **record(metrics=parts([0.5]))}), "metrics.miou.parts"),
        (json.dumps({"schema": 1, **record(metrics={"x": 1.0})}), "metrics.x must be a table of keys, not a number"),
        (json.dumps({"schema": 1, **record(cost={"train_seconds": "60"})}), "cost.train_seconds"),
        (json.dumps({"schema": 1, **record(cost={"train_seconds": True})}), "cost.train_seconds"),
        (json.dumps({"schema": 1, **record(provenance={"weights": None})}), "provenance.weights"),
        (json.dumps({"schema": 1, **record(remeasured=[{}])}), "remeasured.0.finished"),
        (json.dumps({"schema": 1, **record(remeasured=[later({"weights": None})])}), "remeasured.0.provenance.weights"),
        (json.dumps({"schema": 1, **record(cost={"train_seconds": float("nan")})}), "it is not JSON"),
        ("[" * 100_000, "it must be a table of keys, not a list"),
        ("", "it is empty"),
    ],
)
def test_a_bad_record_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as error:
        read_record(path)
    assert str(path) in str(error.value)


def test_a_bad_record_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_record(tmp_path, replace(as_record(record()), cost=Cost(train_seconds=float("nan"))))
    assert list(tmp_path.iterdir()) == []


def test_read_all_names_the_damaged_and_goes_on(tmp_path: Path) -> None:
    for seed in range(3):
        folder = RunSpec("m", "d", 5, 32, seed=seed).folder(tmp_path)
        folder.mkdir(parents=True)
        write_record(folder, as_record(record()))
    (folder / "record.json").write_text('{"schema": 1')
    said: list[str] = []
    assert len(read_records(tmp_path, said.append)) == 2
    assert len(said) == 1
    assert str(folder) in said[0]


def test_a_spec_has_one_folder_and_no_two_specs_share_it(tmp_path: Path) -> None:
    base = RunSpec("m", "d", 5, 32, config={"a": 1, "b": 2})
    assert base.folder(tmp_path) == RunSpec("m", "d", 5, 32, config={"b": 2, "a": 1}).folder(tmp_path)
    others = [
        RunSpec("m", "d", 5, 32, config={"a": 1, "b": 3}),
        RunSpec("m", "d", 5, 64, config={"a": 1, "b": 2}),
        RunSpec("m", "d", 5, 32, seed=1, config={"a": 1, "b": 2}),
        RunSpec("m", "d", 5, 32, subset_seed=1, config={"a": 1, "b": 2}),
        RunSpec("m", "d", 5, 32, config={"a": 1, "b": 2}, amp="bf16"),
    ]
    assert len({spec.folder(tmp_path) for spec in [base, *others]}) == 6
    assert base.folder(tmp_path).parent == tmp_path / "runs" / "d" / "5" / "m"


@pytest.mark.parametrize("name", ["folder:/tmp/x y", "../../etc", "a/b", "<b>", ".."])
def test_folder_names_stay_inside(name: str) -> None:
    assert "/" not in slug(name)
    assert slug(name) not in ("", ".", "..")
    assert slug(name) != slug(name + "?")
