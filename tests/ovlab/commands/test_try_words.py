"""`ovlab try`: its page in a real browser, what it refuses, and that it closes with the command."""

import base64
import http.client
import io
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import sync_playwright

import logoseg
from browser import ARGUMENTS, CHROMIUM, NO_CHROMIUM
from ovlab.cli import main
from ovlab.commands.try_page import MAX_WORDS, shown
from ovlab.shapes.dataset import open_shapes

WEIGHTS, WORDS = "clip:shapes-vit-s", ("sky", "grass", "blue circle")


class Running(NamedTuple):
    process: subprocess.Popen[str]
    port: int


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    command = [sys.executable, "-m", "ovlab", "try", WEIGHTS, "--device", "cpu"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        found = re.match(r"open http://127\.0\.0\.1:(\d+)/ ", process.stdout.readline())
        yield Running(process, int(found[1]))
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(found[1])))


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "scene.png"
    scene = Image.fromarray(open_shapes("shapes-a-150", "val")[0].image)
    scene.resize((300, 200)).save(path)
    return path


def ask(running: Running, body: bytes, words: str, **headers: str) -> tuple[int, dict[str, object]]:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
    connection.request("POST", f"/segment?words={words}", body, {"Content-Type": "application/octet-stream"} | headers)
    reply = connection.getresponse()
    text = reply.read().decode()
    return reply.status, json.loads(text) if text.startswith("{") else {"problem": text}


@pytest.mark.skipif(not CHROMIUM.exists(), reason=NO_CHROMIUM)
def test_photograph_and_words_show_colours_and_the_scores_under_the_pointer(running: Running, photo: Path) -> None:
    expected = logoseg.load(WEIGHTS).predict(photo, WORDS)
    complaints = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS))
        page = browser.new_page(viewport={"width": 390, "height": 740})
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"http://127.0.0.1:{running.port}/")
        page.locator("#file").set_input_files(photo)
        page.get_by_text("Now type words").wait_for()
        page.locator("#words").fill(", ".join(WORDS))
        page.keyboard.press("Enter")
        page.get_by_text("Point at the picture").wait_for()

        shares = page.locator("#legend tbody tr").evaluate_all(
            "rows => rows.map(row => [row.cells[0].textContent, row.cells[1].textContent])"
        )
        ordered = sorted(expected.shares.items(), key=lambda pair: -pair[1])
        assert shares == [[word, f"{100 * share:.1f} %"] for word, share in ordered]
        assert page.locator("#colours").evaluate("image => [image.naturalWidth, image.naturalHeight]") == [300, 200]
        page.locator("#colours").hover()
        best = page.locator("#legend tr.best")
        score = float(best.locator("td").nth(1).inner_text())
        middle = expected.score_map(best.locator("th").inner_text())[98:103, 148:153]
        assert middle.min() - 0.001 <= score <= middle.max() + 0.001
        page.locator("#opacity").fill("20")
        assert page.locator("#colours").evaluate("image => image.style.opacity") == "0.2"
        assert page.evaluate("document.documentElement.scrollWidth") == 390

        page.locator("#words").fill("sky, sky")
        page.keyboard.press("Enter")
        page.get_by_text("'sky' is among the words twice").wait_for()
        browser.close()
    assert [text for text in complaints if "400" not in text] == []


def test_what_cannot_be_answered_is_said_in_one_line(running: Running, photo: Path) -> None:
    content = photo.read_bytes()

    assert ask(running, content, "")[0] == 400
    assert "cannot be decoded" in ask(running, b"no image", "sky")[1]["problem"]
    status, answer = ask(running, content, ",".join(f"w{number}" for number in range(MAX_WORDS + 1)))
    assert (status, answer["problem"]) == (400, f"{MAX_WORDS + 1} words are more than {MAX_WORDS}; give fewer.")


def test_page_of_another_site_reaches_nothing(running: Running, photo: Path) -> None:
    content = photo.read_bytes()

    assert ask(running, content, "sky", Host="example.org")[0] == 400
    assert ask(running, content, "sky", **{"Content-Type": "text/plain"})[0] == 415
    assert ask(running, content, "sky", Host=f"localhost:{running.port}")[0] == 200


def test_port_that_is_taken_is_named(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["try", WEIGHTS, "--port", str(running.port)]) == 2
    assert f"--port {running.port}: cannot be listened on" in capsys.readouterr().err
    assert main(["try", WEIGHTS, "--port", "70000"]) == 2


def test_scores_that_are_shown_belong_to_the_words_in_their_order_and_colours_to_the_labels(photo: Path) -> None:
    prediction = logoseg.load(WEIGHTS).predict(photo, WORDS)

    answer = shown(prediction)

    rows, columns = answer["rows"], answer["columns"]
    assert (rows, columns) == (85, 128)
    scores = np.frombuffer(base64.b64decode(answer["scores"]), "<f4").reshape(len(WORDS), rows, columns)
    middle_row, middle_column = int(42.5 * 200 / 85), int(64.5 * 300 / 128)
    for number, found in enumerate(answer["words"]):
        expected = prediction.score_map(found["word"])[middle_row, middle_column]
        assert scores[number, 42, 64] == pytest.approx(expected)
    picture = Image.open(io.BytesIO(base64.b64decode(answer["colours"].partition(",")[2])))
    by_word = {found["word"]: found["colour"] for found in answer["words"]}
    for place in ((0, 0), (199, 299), (100, 150)):
        word = prediction.words[prediction.labels[place]]
        assert f"#{bytes(np.asarray(picture)[place]).hex()}" == by_word[word]
