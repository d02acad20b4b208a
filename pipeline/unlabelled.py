"""The stage unlabelled: pictures without labels, as data/unlabelled, if a colouriser wants more than have labels.

A stage of its own, so that another number of `images` neither downloads anew what has labels nor trains the classifiers
anew, which see that alone. It knows the target by what lies in data/target, not by the case.
"""

from pathlib import Path

from pipeline.datasets import sources, store
from pipeline.params import Params

TARGET, UNLABELLED = Path("data/target"), Path("data/unlabelled")


def run(params: Params) -> None:
    """Write data/unlabelled and print one line about it.

    Raises:
        PipelineError: there is no target, or its data set cannot be had.
        OSError: there is no room for it.
    """
    sources.add_unlabelled(TARGET, params.datasets, params.images, UNLABELLED)
    print(f"{UNLABELLED}: {describe(params.images)}")


def describe(images: int) -> str:
    """What data/unlabelled holds, in a line."""
    labelled = len(store.read(TARGET, "train").labels)
    about = store.read_about(UNLABELLED)
    if about["name"] == "none":
        return f"none, a colouriser trains on {min(labelled, images):,} of the {labelled:,} train pictures in {TARGET}"
    number, size = len(store.read(UNLABELLED, "train").labels), about["size"]
    both = f"with the {labelled:,} in {TARGET} a colouriser trains on {labelled + number:,}"
    lacking = images - labelled - number
    return f"{about['name']}, {size}×{size}, {number:,} train pictures without labels, {both}" + (
        f", there are no more: {lacking:,} fewer than images says" if lacking else ""
    )
