import os

import pytest

from pipeline.system.errors import PipelineError, printable


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a photograph, naïve – 写真.jpg", "a photograph, naïve – 写真.jpg"),
        ("a\nb\x1b[31m\x07", "a\\nb\\x1b[31m\\x07"),
        (os.fsdecode(b"caf\xe9.jpg"), "caf\\udce9.jpg"),
    ],
)
def test_any_name_can_be_shown_in_a_line(given, shown):
    assert printable(given) == shown
    assert str(PipelineError(given)) == shown
