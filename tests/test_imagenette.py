import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets import imagenette, workers
from pipeline.system.errors import PipelineError
from tests.archives import make_imagenette, write_tar

TENCH, PARACHUTE = "n01440764", "n03888257"


def jpeg(colour=(200, 30, 30), size=(40, 20), mode="RGB", **options):
    content = io.BytesIO()
    picture = Image.new("RGB", size, (30, 200, 30))
    picture.paste(colour, ((size[0] - size[1]) // 2, 0, (size[0] + size[1]) // 2, size[1]))
    picture.convert(mode).save(content, "JPEG", quality=95, **options)
    return content.getvalue()


def write(path, files):
    write_tar(path, {f"{imagenette.FOLDER}/{name}": content for name, content in files.items()})
    return path


def test_pictures_lie_in_their_splits_with_their_classes_cropped_to_the_centre(tmp_path):
    files = {f"train/{TENCH}/a{number}.JPEG": jpeg((200, 30, 30)) for number in range(3)}
    files |= {f"train/{PARACHUTE}/a{number}.JPEG": jpeg((30, 30, 200)) for number in range(2)}
    files |= {f"val/{PARACHUTE}/b.JPEG": jpeg((30, 30, 200)), f"val/{TENCH}/b.JPEG": jpeg((90, 90, 90), mode="L")}
    splits = imagenette.read(write(tmp_path / "a.tgz", files), 16, tmp_path)
    assert {name: len(split.labels) for name, split in splits.items()} == {"train": 5, "validation": 0, "test": 2}
    for split in splits.values():
        for picture, label in zip(split.pictures[:], split.labels, strict=True):
            colour = {0: (200, 30, 30), 9: (30, 30, 200)}[label] if split is not splits["test"] or label else (90,) * 3
            assert np.abs(picture[:, 2:-2].astype(int) - colour).max() < 25
    assert [path.name for path in tmp_path.iterdir()] == ["a.tgz"]


def test_however_many_processes_read_the_outcome_is_the_same(tmp_path, monkeypatch):
    make_imagenette(tmp_path / "a.tgz")
    monkeypatch.setattr(workers, "FEW", 10)
    read = []
    for number in (1, 2):
        monkeypatch.setattr(workers, "cores", lambda number=number: number)
        read.append(imagenette.read(tmp_path / "a.tgz", 16, tmp_path))
    assert {name: len(split.labels) for name, split in read[0].items()} == {"train": 54, "validation": 6, "test": 20}
    for name in read[0]:
        for one, other in zip(*(splits[name] for splits in read), strict=True):
            np.testing.assert_array_equal(one[:], other[:])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({f"train/{TENCH}/b.JPEG": b"no picture"}, f"train/{TENCH}/b.JPEG: not a picture"),
        ({f"train/{TENCH}/b.JPEG": jpeg()[:400]}, "b.JPEG: (?i:.*truncated)"),
        ({f"train/{TENCH}/b.JPEG": jpeg(size=(2001, 2000))}, "b.JPEG: has 2001×2000 pixels, allowed: 4,000,000"),
        ({f"train/{TENCH}/../b.JPEG": jpeg()}, "given '.*b.JPEG', allowed: in imagenette2-160/, "),
        ({"train/n00000000/b.JPEG": jpeg()}, "given '.*n00000000/b.JPEG', allowed: "),
        ({"/etc/passwd": b""}, "given 'imagenette2-160//etc/passwd', allowed: "),
        ({"noisy_imagenette.csv": bytes(imagenette.FILE.most + 1)}, "noisy_imagenette.csv has .* bytes, allowed: up"),
    ],
)
def test_another_archive_is_one_line(tmp_path, wrong, said):
    files = {f"train/{TENCH}/a.JPEG": jpeg(), f"val/{TENCH}/a.JPEG": jpeg()}
    with pytest.raises(PipelineError, match=said) as raised:
        imagenette.read(write(tmp_path / "a.tgz", files | wrong), 16, tmp_path)
    assert "\n" not in str(raised.value)
    assert str(raised.value).endswith("under datasets in params.yaml")


def test_an_archive_without_test_pictures_is_one_line(tmp_path):
    with pytest.raises(PipelineError, match="no pictures in imagenette2-160/val; "):
        imagenette.read(write(tmp_path / "a.tgz", {f"train/{TENCH}/a.JPEG": jpeg()}), 16, tmp_path)


def add(archive, name, **about):
    member = tarfile.TarInfo(f"{imagenette.FOLDER}/{name}")
    for key, value in about.items():
        setattr(member, key, value)
    archive.addfile(member, io.BytesIO(bytes(member.size)))


@pytest.mark.parametrize("kind", ["link", "twice", "many"])
def test_links_and_files_that_are_there_twice_or_too_many_are_refused(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(imagenette, "FILES", 10)
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        match kind:
            case "link":
                add(archive, f"train/{TENCH}/a.JPEG", type=tarfile.SYMTYPE, linkname="/etc/passwd")
            case "twice":
                for _ in range(2):
                    add(archive, "train", type=tarfile.DIRTYPE)
            case "many":
                for number in range(11):
                    add(archive, f"train/{number}", type=tarfile.DIRTYPE)
    said = {"link": "is no plain file", "twice": "holds '.*train' twice", "many": "more than the 10 files and folders"}
    with pytest.raises(PipelineError, match=said[kind]):
        imagenette.read(tmp_path / "a.tar", 16, tmp_path)
