import os
import shutil
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path

import pytest
import torch
from fastai.callback.core import Callback
from torch import nn

from pipeline.system import lock
from pipeline.system.errors import PipelineError, Stopped
from pipeline.training import checkpoint, colouriser
from pipeline.training.average import MovingAverage
from pipeline.training.checkpoint import Checkpoint
from pipeline.training.history import History
from pipeline.training.learner import learner, seed_everything, warm_up_and_decay
from pipeline.training.losses.adversarial import AdversarialStep
from pipeline.training.losses.frechet import FrechetLoss
from pipeline.training.losses.likeness import LikenessLoss
from pipeline.training.muon import Muon
from pipeline.training.selection import Selection
from tests.test_full_disk import full_disk
from tests.test_training import adam, critic, painter, pair

EPOCHS, BATCHES = 3, 4


class Kill(Callback):
    """Ends everything at a batch, as a signal would."""

    order = 100

    def __init__(self, epoch: int, batch: int, event: str):
        setattr(self, event, partial(self.kill, (epoch, batch)))

    def kill(self, when):
        if self.training and (self.epoch, self.dls.train.state["given"] - 1) == when:
            raise KeyboardInterrupt


class Spoil(Callback):
    """Makes the loss no number at a batch."""

    order = 1

    def __init__(self, epoch: int, batch: int):
        self.when = epoch, batch

    def after_loss(self):
        if self.training and (self.epoch, self.iter) == self.when:
            self.learn.loss_grad = self.learn.loss_grad * torch.nan
            self.learn.loss = self.learn.loss_grad.detach()


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(kind: str, *further: Callback, settings: dict | None = None) -> tuple[bytes, list[dict]]:
    """The weights and the history of a training run, of the U-Net's kind or of the GAN's."""
    seed_everything(0)
    network = painter()
    saved = Checkpoint(kind, f"pipeline.train_{kind}", settings or {}, [])
    if kind == "gan":
        discriminator = critic()
        step = AdversarialStep(discriminator, adam(discriminator.parameters(), lr=1e-3))
        history = History({"fake": lambda _: step.fake}, colouriser.MEASURES)
        frechet = FrechetLoss(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), weight=10)
        callbacks, optimiser = (
            [LikenessLoss(100), step, frechet, MovingAverage(0.9), history, Selection(0.3), saved, *further],
            adam,
        )
        learner(pair(), network, nn.L1Loss(), optimiser, callbacks).fit(EPOCHS, 0.01)
    else:
        history = History({"train_l1": colouriser.l1}, colouriser.MEASURES)
        learner(pair(), network, nn.L1Loss(), partial(Muon, weight_decay=0.1), [history, saved, *further]).fit(
            EPOCHS, cbs=warm_up_and_decay(0.01)
        )
    saved.remove()
    assert len(history.seconds) == len(history.rows)
    return b"".join(tensor.numpy().tobytes() for tensor in network.state_dict().values()), history.rows


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, tuple[bytes, list[dict]]]:
    """What a run of each kind gives that nothing stops."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("undisturbed"))
        return {kind: run(kind) for kind in ("unet", "gan")}


def checkpoints() -> list[Path]:
    return list(lock.FOLDER.glob("*.pt"))


@pytest.mark.parametrize("minutes", [0, 5])
@pytest.mark.parametrize(
    ("epoch", "batch", "event"),
    [
        (0, 2, "after_step"),
        (1, 0, "before_batch"),
        (1, 1, "after_batch"),
        (1, 3, "after_batch"),
        (1, 3, "after_train"),
        (2, 3, "after_train"),
    ],
)
@pytest.mark.parametrize("kind", ["unet", "gan"])
def test_a_run_that_was_killed_ends_as_if_it_never_had_been(
    undisturbed, kind, epoch, batch, event, minutes, monkeypatch, capsys
):
    monkeypatch.setattr(checkpoint, "MINUTES", minutes)
    with pytest.raises(KeyboardInterrupt):
        run(kind, Kill(epoch, batch, event))
    capsys.readouterr()
    assert run(kind) == undisturbed[kind]
    assert ("going on in epoch" in capsys.readouterr().out) == (epoch > 0 or minutes == 0)
    assert not checkpoints()


def test_a_run_may_be_killed_again_and_again(undisturbed, monkeypatch):
    monkeypatch.setattr(checkpoint, "MINUTES", 0)
    for epoch, batch in ((0, 1), (0, 3), (1, 2), (1, 3), (2, 1), (2, 3)):
        with pytest.raises(KeyboardInterrupt):
            run("gan", Kill(epoch, batch, "after_batch"))
    assert run("gan") == undisturbed["gan"]


def test_a_run_with_other_settings_does_not_go_on_from_it_and_says_what_differs(capsys):
    with pytest.raises(KeyboardInterrupt):
        run("unet", Kill(1, 1, "after_batch"), settings={"unet": {"epochs": 1}})
    (path,) = checkpoints()
    run("unet", settings={"unet": {"epochs": 2}})
    said = capsys.readouterr().out
    assert "going on" not in said
    assert f"{path}: of another run (unet.epochs: 1 there, 2 here), so this one begins anew\n" in said
    run("unet", settings={"unet": {"epochs": 1}})
    said = capsys.readouterr().out
    assert "going on in epoch 1/3, after batch 4/4" in said
    assert "another run" not in said


def test_a_run_on_other_threads_does_not_go_on_from_it_and_says_so(monkeypatch, capsys):
    with pytest.raises(KeyboardInterrupt):
        run("unet", Kill(1, 1, "after_batch"))
    here = torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: here + 1)
    run("unet")
    assert (
        f"of another run (threads: {here} there, {here + 1} here), so this one begins anew" in capsys.readouterr().out
    )


def test_a_checkpoint_of_a_former_version_is_told_and_not_used(capsys):
    with pytest.raises(KeyboardInterrupt):
        run("unet", Kill(1, 1, "after_batch"))
    (path,) = checkpoints()
    former = {name: part for name, part in torch.load(path, weights_only=True).items() if name != "identity"}
    torch.save(former, path.with_stem("unet-0123456789abcdef"))
    path.unlink()
    run("unet")
    assert "checkpoints/unet-0123456789abcdef.pt: of another run (" in capsys.readouterr().out


def experiment(project: Path, name: str, monkeypatch) -> Path:
    """An experiment's copy of a project, as DVC makes them for its queue, and the work goes on there."""
    copy = project / ".dvc/tmp/exps" / name
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    return copy


@pytest.mark.parametrize("kind", ["unet", "gan"])
def test_a_queued_experiment_that_was_killed_goes_on_when_it_is_queued_again(
    undisturbed, kind, tmp_path, monkeypatch, capsys
):
    first = experiment(tmp_path, "tmp123", monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run(kind, Kill(1, 1, "after_batch"))
    monkeypatch.chdir(tmp_path)
    shutil.rmtree(first)  # as DVC does
    assert len(checkpoints()) == 1  # where its user looks for it
    experiment(tmp_path, "tmp456", monkeypatch)
    capsys.readouterr()
    assert run(kind) == undisturbed[kind]
    assert "going on in epoch 1/3, after batch 4/4" in capsys.readouterr().out
    assert not list(tmp_path.rglob("*.pt"))


def test_experiments_that_train_the_same_at_the_same_time_neither_fail_nor_spoil_each_others_checkpoints(
    undisturbed, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(checkpoint, "MINUTES", 0)

    class Another(Callback):
        """Runs the same, from its start to its end, in the middle of it."""

        order = 95

        def after_batch(self):
            if self.training and self.train_iter == 6:
                state = torch.get_rng_state()
                experiment(tmp_path, "tmp456", monkeypatch)
                results.append(run("unet"))
                monkeypatch.chdir(tmp_path / ".dvc/tmp/exps/tmp123")
                torch.set_rng_state(state)

    results = []
    experiment(tmp_path, "tmp123", monkeypatch)
    results.append(run("unet", Another()))
    assert results == [undisturbed["unet"], undisturbed["unet"]]
    assert "going on in epoch 2/3, after batch 2/4" in capsys.readouterr().out  # it found what the first had saved
    assert not list(tmp_path.rglob("*.pt"))


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_damaged_checkpoint_is_told_and_all_begins_anew(undisturbed, share, capsys):
    with pytest.raises(KeyboardInterrupt):
        run("unet", Kill(2, 1, "after_batch"))
    (path,) = checkpoints()
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert run("unet") == undisturbed["unet"]
    assert f"{path}: damaged, so all begins anew" in capsys.readouterr().out


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9])
def test_a_byte_changed_in_a_checkpoint_is_noticed(undisturbed, share, capsys):
    with pytest.raises(KeyboardInterrupt):
        run("unet", Kill(2, 1, "after_batch"))
    (path,) = checkpoints()
    with zipfile.ZipFile(path) as file:
        largest = max(file.infolist(), key=lambda part: part.file_size)
    content = bytearray(path.read_bytes())
    content[largest.header_offset + 200 + int(share * (largest.file_size - 200))] ^= 0x55
    path.write_bytes(content)
    assert run("unet") == undisturbed["unet"]
    assert f"{path}: damaged, so all begins anew" in capsys.readouterr().out


def test_a_full_disk_stops_the_run_and_it_goes_on_from_the_checkpoint_before(undisturbed, capsys):
    with pytest.raises(KeyboardInterrupt):
        run("unet", Kill(1, 1, "after_batch"))
    with full_disk(100), pytest.raises(OSError, match="File too large") as raised:
        run("unet")
    assert raised.value.strerror == "File too large"  # of which the command makes its line
    capsys.readouterr()
    assert run("unet") == undisturbed["unet"]
    assert "going on in epoch 1/3, after batch 4/4" in capsys.readouterr().out


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_good_checkpoint():
    with pytest.raises(PipelineError) as raised:
        run("unet", Spoil(1, 2))
    assert str(raised.value) == (
        "the loss is nan at epoch 2, batch 3 of training; the last checkpoint, if there is one, is kept in "
        "checkpoints; lower the learning rate in params.yaml"
    )
    (path,) = checkpoints()
    saved = torch.load(path, weights_only=True)
    assert saved["epoch"] == 0
    assert all(tensor.isfinite().all() for tensor in saved["parts"]["network"].values())


def test_weights_that_are_no_numbers_are_not_saved():
    class Poison(Callback):
        order = 85

        def after_batch(self):
            if self.training and self.epoch == 1:
                next(self.model.parameters()).data.fill_(torch.nan)

    with pytest.raises(PipelineError, match="epoch 2, batch 2"):
        run("unet", Poison())
    assert torch.load(checkpoints()[0], weights_only=True)["epoch"] == 0


def test_one_run_of_a_stage_at_a_time_and_the_other_says_who_has_it():
    with lock.alone("train-unet"):
        second = "from pipeline.system import lock\nwith lock.alone('train-unet'): print('both')"
        environment = os.environ | {"PYTHONPATH": str(Path(lock.__file__).parents[2])}
        done = subprocess.run([sys.executable, "-c", second], capture_output=True, text=True, env=environment)
        assert "both" not in done.stdout
        assert f"train-unet: process {os.getpid()} runs it in this folder already" in done.stderr
        with lock.alone("train-gan"):
            pass
    with lock.alone("train-unet"):
        pass


def test_ctrl_c_says_how_to_go_on():
    with (
        pytest.raises(Stopped, match="train-unet: stopped; run the same command again to go on"),
        lock.alone("train-unet"),
    ):
        raise KeyboardInterrupt
