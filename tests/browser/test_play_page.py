"""`bench play` in a real Chromium: somebody draws, with the mouse and with keys, and sees what two runs make of it."""

import io
import socket
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from trained_runs import tiny_run

sys.path.insert(0, str(Path(__file__).parent))

from chromium import opened, wait_until

from bench.core.progress import Quiet
from bench.data.task import load_task
from bench.runs.settings import RunSettings
from bench.use import play
from bench.use.load import load_run
from bench.use.trained import Trained

SETTLED = (
    "document.getElementById('canvas').dataset.translated > {0}"
    " && document.getElementById('runs').getAttribute('aria-busy') === 'false'"
)


@pytest.fixture(scope="module")
def translators(bank_cache: Path) -> list[Trained]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("I2I_BENCH_CACHE", str(bank_cache))
        runs = [tiny_run("cyclegan"), tiny_run("munit", guide="reference")]
        return [load_run(run.folder, RunSettings(device="cpu"), Quiet()) for run in runs]


@pytest.fixture
def address(translators: list[Trained], tmp_path: Path) -> Iterator[str]:
    with play.server(translators, tmp_path, 0) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}/"
        running.shutdown()
        thread.join()


def shown(page) -> list[np.ndarray]:  # type: ignore[no-untyped-def]  (Playwright's types are not at hand everywhere)
    """The translations as they are, uint8 (R, R, 3)."""
    script = """() => [...document.querySelectorAll('.made')].map(image => {
        const canvas = document.createElement('canvas');
        canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
        const context = canvas.getContext('2d');
        context.drawImage(image, 0, 0);
        return [...context.getImageData(0, 0, canvas.width, canvas.height).data];
    })"""
    return [np.array(flat, np.uint8).reshape(32, 32, 4)[:, :, :3] for flat in page.evaluate(script)]


def settle(page, after: int) -> int:  # type: ignore[no-untyped-def]
    """Waits for a translation that is newer than number `after` with none under way, and for the pictures; returns
    its number."""
    wait_until(page, SETTLED.format(after))
    wait_until(page, "[...document.querySelectorAll('.made')].every(image => image.complete && image.naturalWidth)")
    return int(page.evaluate("document.getElementById('canvas').dataset.translated"))


def test_a_drawing_is_translated_by_both_runs(address: str, translators: list[Trained]) -> None:
    with opened(viewport={"width": 1200, "height": 900}) as (page, seen):
        page.goto(address)
        number = settle(page, 0)
        blank = shown(page)
        box = page.locator("#canvas").bounding_box()
        assert box is not None
        page.get_by_role("button", name="red").click()
        page.mouse.move(box["x"] + 40, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + 200, box["y"] + 180, steps=8)
        page.mouse.up()
        number = settle(page, number)
        drawn = shown(page)
        assert not any(np.array_equal(a, b) for a, b in zip(blank, drawn))
        pixel = page.evaluate(
            "[...document.getElementById('canvas').getContext('2d').getImageData(107, 98, 1, 1).data].slice(0, 3)"
        )
        assert pixel[0] > 200 and pixel[1] < 100
        page.get_by_role("button", name="Undo").click()
        settle(page, number)
        assert all(np.array_equal(a, b) for a, b in zip(blank, shown(page)))
        white = np.full((1, 3, 32, 32), 255, np.uint8)
        expected = translators[0].translate(white, translators[0].guides()[0])[0]
        assert np.array_equal(blank[0], expected.transpose(1, 2, 0))
        assert seen.errors == []
        assert {request.split("/")[2] for request in seen.requests if request.startswith("http")} == {
            address.split("/")[2]
        }


def test_another_draw_and_a_reference_change_what_is_guided(address: str, translators: list[Trained]) -> None:
    with opened() as (page, seen):
        page.goto(address)
        number = settle(page, 0)
        first = shown(page)
        page.get_by_role("button", name="Another draw").click()
        number = settle(page, number)
        second = shown(page)
        assert np.array_equal(first[0], second[0]) and not np.array_equal(first[1], second[1])
        page.get_by_role("button", name="Reference 3").click()
        settle(page, number)
        data = load_task("ink", 20, 32)
        reference = data.target_train.images([int(np.linspace(0, 19, 20)[2])])
        white = np.full((1, 3, 32, 32), 255, np.uint8)
        guide = translators[1].guides(references=reference)[0]
        assert np.array_equal(shown(page)[1], translators[1].translate(white, guide)[0].transpose(1, 2, 0))
        assert seen.errors == []


def test_held_out_sources_and_pasted_images_are_translated(
    address: str, translators: list[Trained], tmp_path: Path
) -> None:
    with opened() as (page, seen):
        page.goto(address)
        number = settle(page, 0)
        blank = shown(page)
        page.get_by_role("button", name="Held-out source 2", exact=True).click()
        number = settle(page, number)
        chosen = shown(page)
        assert not np.array_equal(blank[0], chosen[0])
        file = tmp_path / "mine.png"
        Image.new("RGB", (300, 200), (10, 60, 200)).save(file)
        page.locator("#file").set_input_files(str(file))
        settle(page, number)
        blue = np.broadcast_to(np.array([10, 60, 200], np.uint8)[:, None, None], (1, 3, 32, 32))
        expected = translators[0].translate(blue.copy(), translators[0].guides()[0])[0]
        assert np.abs(shown(page)[0].astype(int) - expected.transpose(1, 2, 0)).max() <= 1
        assert seen.errors == []


GIVEN = """([kind, bytes, type]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(bytes)], "mine", { type }));
    const event = kind === "paste"
        ? new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true })
        : new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true });
    return !document.getElementById("canvas").dispatchEvent(event);
}"""


def test_dropped_files_and_pasted_images_are_translated(address: str, translators: list[Trained]) -> None:
    """Each is of one colour, wider than high; what is no image is refused in a sentence and changes nothing."""
    with opened() as (page, seen):
        page.goto(address)
        number = settle(page, 0)
        assert page.evaluate(GIVEN, ["dragover", [], "image/png"])  # prevented, or the browser would open the file
        for kind, colour in (("drop", (10, 60, 200)), ("paste", (200, 90, 20))):
            file = io.BytesIO()
            Image.new("RGB", (300, 200), colour).save(file, format="PNG")
            page.evaluate(GIVEN, [kind, [*file.getvalue()], "image/png"])
            number = settle(page, number)
            plain = np.broadcast_to(np.array(colour, np.uint8)[:, None, None], (1, 3, 32, 32)).copy()
            expected = translators[0].translate(plain, translators[0].guides()[0])[0]
            assert np.abs(shown(page)[0].astype(int) - expected.transpose(1, 2, 0)).max() <= 1
        before = shown(page)
        page.evaluate(GIVEN, ["paste", [*b"some text"], "text/plain"])
        assert page.locator("#problem").text_content() == ""
        page.evaluate(GIVEN, ["drop", [*b"no image"], "image/png"])
        wait_until(page, "document.getElementById('problem').textContent.startsWith('This file is no image')")
        assert all(np.array_equal(a, b) for a, b in zip(before, shown(page)))
        page.evaluate(GIVEN, ["drop", [*file.getvalue()], "image/png"])
        settle(page, number)
        assert page.locator("#problem").text_content() == ""
        assert seen.errors == []


def test_a_page_whose_server_has_ended_says_what_mends_it(address: str) -> None:
    with opened() as (page, _):
        page.goto(address)
        settle(page, 0)
        page.route("**/translate?*", lambda route: route.abort())
        page.get_by_role("button", name="Another draw").click()
        wait_until(page, "document.getElementById('problem').textContent.includes('bench play no longer answers')")


def test_keys_alone_draw(address: str) -> None:
    with opened() as (page, seen):
        page.goto(address)
        number = settle(page, 0)
        blank = shown(page)
        page.locator("#canvas").focus()
        for key in ("Space", "ArrowRight", "ArrowRight", "ArrowDown", "ArrowDown", "Space"):
            page.keyboard.press(key)
        number = settle(page, number)
        assert not np.array_equal(shown(page)[0], blank[0])
        page.keyboard.press("u")
        settle(page, number)
        assert np.array_equal(shown(page)[0], blank[0])
        assert seen.errors == []


def test_a_finger_draws_and_the_page_is_as_wide_as_a_phone(address: str) -> None:
    with opened(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True) as (page, seen):
        page.goto(address)
        number = settle(page, 0)
        blank = shown(page)
        page.locator("#canvas").tap()
        settle(page, number)
        assert not np.array_equal(shown(page)[0], blank[0])
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert seen.errors == []


def ask(address: str, query: str, body: bytes) -> tuple[int, bytes]:
    request = urllib.request.Request(f"{address}translate?{query}", data=body, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def png(side: int = 32) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), "white").save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("query", "body", "code"),
    [
        ("run=0&seed=0", png(), 200),
        ("run=2", png(), 400),
        ("run=-1", png(), 400),
        ("seed=-1", png(), 400),
        ("seed=1e999", png(), 400),
        ("file=/etc/passwd", png(), 400),
        ("run=0&reference=0", png(), 400),
        ("run=1&reference=20", png(), 400),
        ("run=0&label=3", png(), 400),
        ("run=0", b"%!PS-Adobe-3.0", 400),
        ("run=0", png(2100), 400),
        ("run=0", b"", 413),
    ],
)
def test_what_is_no_image_or_no_choice_is_refused(address: str, query: str, body: bytes, code: int) -> None:
    status, said = ask(address, query, body)
    assert status == code, said
    assert status == 200 or (b"\n" not in said and b"Traceback" not in said)


def test_an_upload_that_is_too_large_is_not_read(address: str) -> None:
    host, port = address.split("/")[2].split(":")
    head = f"POST /translate?run=0 HTTP/1.0\r\nHost: {host}:{port}\r\nContent-Length: {play.LARGEST + 1}\r\n\r\n"
    with socket.create_connection((host, int(port)), 10) as client:
        client.sendall(head.encode())
        assert b" 413 " in client.recv(99)
