"""Files that are broken, and what reading says of them."""

import random

import pytest

from pipeline.photographs import reading
from pipeline.system.errors import PipelineError


def refusal(content, **options):
    """The one line in which the content of a file is refused."""
    with pytest.raises(PipelineError) as refused:
        reading.read(content, **options)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def change_bytes(whole, seed, first):
    """See that a file, four of whose bytes from `first` on are others, is read or refused in one line; twenty times."""
    dice = random.Random(seed)
    for _ in range(20):
        content = bytearray(whole)
        for _ in range(4):
            content[dice.randrange(first, len(content))] = dice.randrange(256)
        try:
            outcome = str(reading.read(bytes(content), most=10**7).pages)
        except PipelineError as error:
            outcome = str(error)
        assert outcome
        assert "\n" not in outcome
