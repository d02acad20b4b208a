import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from pipeline.photographs import writing

ROOT = Path.cwd()
COMMAND = """
import signal, sys, time
from pathlib import Path
from pipeline import __main__
from pipeline.colouring import colourise_files, destinations
from pipeline.colourise import Colouriser, paint_nothing
from pipeline.photographs import reading, writing

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs would ignore it
stage, which = sys.argv[1:]

def busy(*_, **__):
    print("busy", flush=True)
    while True:
        time.sleep(3600)  # which a signal does not end, as it ends no computation

def half(pages, path, **_):
    path.write_bytes(b"half a photograph")
    busy()

def paint(page):
    if stage == "painting" and page.opaque.width == int(which):
        busy()
    return Colouriser(paint_nothing).paint([page])[0]

read, save = reading.read, writing.save
made = colourise_files.Made(source="", models=("none",), size=64, version="1")
colourise_files.load_painter = lambda *_: busy() if stage == "loading" else colourise_files.Painter(paint, made)
if stage == "planning":
    destinations.plan = busy
if stage == "reading":
    reading.read = lambda path, **options: busy() if path.stem == which else read(path, **options)
if stage == "writing":
    writing.save = lambda pages, *rest, **named: (half if pages[0].width == int(which) else save)(pages, *rest, **named)
sys.argv = ["pipeline", "colourise", "photos", "--out", "out"]
__main__.main()
"""


def start(folder, stage):
    """Colours six photographs of 40 to 45 pixels; is busy for ever at a stage, in the last three with the fourth."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        (sys.executable, "-c", COMMAND, stage, "43"),
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("stage", "sent"),
    [
        ("planning", signal.SIGINT),
        ("loading", signal.SIGTERM),
        ("reading", signal.SIGINT),
        ("painting", signal.SIGTERM),
        ("painting", signal.SIGINT),
        ("writing", signal.SIGINT),
        ("writing", signal.SIGTERM),
    ],
)
def test_a_signal_ends_it_whatever_it_is_at_and_the_same_command_goes_on(tmp_path, stage, sent):
    (tmp_path / "photos").mkdir()
    for width in range(40, 46):
        Image.new("RGB", (width, 30), (120, 90, 60)).save(tmp_path / f"photos/{width}.png")
    running = start(tmp_path, stage)
    assert running.stdout.readline() == "busy\n"
    running.send_signal(sent)
    _, errors = running.communicate(timeout=300)
    assert running.returncode == 128 + sent
    (line,) = errors.splitlines()
    there = sorted((tmp_path / "out").iterdir()) if (tmp_path / "out").exists() else []
    if stage in ("planning", "loading"):
        assert line == "error: colourise: stopped before the first photograph; run the same command again to go on"
        assert not there
        return
    said = re.fullmatch(
        r"error: colourise: stopped; (\d) of 6 photographs are done; run the same command again to go on", line
    )
    assert int(said[1]) <= len(there)
    assert {path.stem for path in there} <= {"40", "41", "42", "44", "45"}
    assert all(writing.made(path) for path in there)  # nothing is half, and nothing else is there
    output, errors = start(tmp_path, "no stage").communicate(timeout=300)
    assert errors == ""
    assert f"written: {6 - len(there)} photographs in out" in output
    assert len(there) == 0 or f"left as they were: {len(there)} " in output


TAKEN_AWAY = """
import threading
from pathlib import Path
from PIL import Image
from pipeline.system import files
from pipeline.photographs import writing

begun, given_up, tried = threading.Event(), threading.Event(), threading.Event()

def save(path):
    begun.set()
    given_up.wait()
    try:
        writing.save([Image.new("RGB", (4, 4))], path, "PNG")
    finally:
        tried.set()

threading.Thread(target=lambda: files.write_all({Path("result.png"): save}), daemon=True).start()
begun.wait()
files.give_up()
given_up.set()
tried.wait()
"""


def test_what_is_taken_away_because_the_process_ends_does_not_come_back_and_nothing_is_said_of_it(tmp_path):
    ended = subprocess.run(
        (sys.executable, "-c", TAKEN_AWAY),
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert not list(tmp_path.iterdir())


LISTENS = """
import sys, time
from pipeline.system.stopping import at_once
with at_once(lambda: "stopped"):
    print("ready", flush=True)
    time.sleep(600)
"""


def test_it_ends_even_if_whoever_read_what_it_says_has_gone():
    reader, writer = os.pipe()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    running = subprocess.Popen((sys.executable, "-c", LISTENS), env=environment, stdout=subprocess.PIPE, stderr=writer)
    assert running.stdout.readline().strip() == b"ready"
    os.close(reader)
    os.close(writer)
    running.terminate()
    assert running.wait(timeout=60) == 128 + signal.SIGTERM
    running.stdout.close()
