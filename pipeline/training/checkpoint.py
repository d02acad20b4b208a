"""Checkpoints: a training run that was killed goes on where it was, as a fastai callback."""

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from fastai.callback.core import Callback, CancelEpochException

import pipeline
from pipeline.errors import PipelineError
from pipeline.files import sha256, write_all
from pipeline.lock import FOLDER

MINUTES = 5  # between checkpoints within an epoch


def key(settings: Mapping[str, Any], inputs: Iterable[Path]) -> str:
    """What tells a training run from any other, in hexadecimal: settings, files read, code, torch and devices.

    Args:
        settings: whatever JSON can hold.
        inputs: files and folders.
    """
    code = Path(pipeline.__file__).parent
    files = [file for path in (*inputs, code) for file in sorted(path.rglob("*") if path.is_dir() else [path])]
    content = {str(file): sha256(file) for file in files if file.is_file() and file.suffix != ".pyc"}
    devices = [str(torch.accelerator.current_accelerator(check_available=True)), torch.accelerator.device_count()]
    run = json.dumps([settings, content, torch.__version__, devices], sort_keys=True)
    return hashlib.sha256(run.encode()).hexdigest()[:16]


class Checkpoint(Callback):
    """Save all that the rest of a run depends on, and go on from there when the same run is started again.

    Saves at the end of each epoch's training, and every few minutes within one. The result is the same to the last bit
    as that of a run that was never stopped. A part is saved if it has `state_dict` and `load_state_dict`: network,
    optimiser, training batches, and other callbacks; besides, the state of the random numbers.

    Args:
        stage: whose run this is.
        settings: see `key`.
        inputs: see `key`.
    """

    order = 90  # after all whose state is saved or restored

    def __init__(self, stage: str, settings: Mapping[str, Any], inputs: Iterable[Path]):
        self.path = FOLDER / f"{stage}-{key(settings, inputs)}.pt"

    def before_fit(self) -> None:
        """Look for a checkpoint."""
        self.saved = self._read()
        self.saved_at = time.monotonic()

    def before_epoch(self) -> None:
        """Pass over the epochs before that of the checkpoint."""
        if self.saved and self.epoch < self.saved["epoch"]:
            raise CancelEpochException

    def before_train(self) -> None:
        """Restore what was saved, once all else is ready for the epoch."""
        if not self.saved:
            return
        for name, part in self._parts().items():
            part.load_state_dict(self.saved["parts"][name])
        self.learn.pct_train, self.learn.train_iter = self.saved["pct_train"], self.saved["train_iter"]
        for source, state in zip(self._random(), self.saved["random"], strict=True):
            source.set_rng_state(state)
        batches = self.saved["parts"]["batches"]["given"], len(self.dls.train)
        print("going on in epoch {}/{}, after batch {}/{}".format(self.epoch + 1, self.n_epoch, *batches), flush=True)
        self.saved = None

    def after_batch(self) -> None:
        """Save when it is time."""
        ended = self.dls.train.state["given"] == len(self.dls.train)
        if self.training and (ended or time.monotonic() - self.saved_at > 60 * MINUTES):
            self._save()

    def _save(self) -> None:
        if not all(tensor.isfinite().all() for tensor in self.model.state_dict().values()):
            return  # the next loss will tell; what there is may be good
        state = {
            "epoch": self.epoch,
            "pct_train": self.pct_train,
            "train_iter": self.train_iter,
            "parts": {name: part.state_dict() for name, part in self._parts().items()},
            "random": [source.get_rng_state() for source in self._random()],
        }
        content = io.BytesIO()  # of a full disk, torch would say something else than the system
        torch.save(state, content)
        write_all({self.path: lambda path: path.write_bytes(content.getbuffer())})
        self.saved_at = time.monotonic()

    def _read(self) -> dict[str, Any] | None:
        try:
            with zipfile.ZipFile(self.path) as file:
                if damaged := file.testzip():  # torch writes checksums, but does not look at them
                    raise zipfile.BadZipFile(damaged)
            return torch.load(self.path, map_location="cpu", weights_only=True)
        except FileNotFoundError:
            return None
        except Exception:  # of a damaged file torch says now this, now that
            print(f"{self.path}: damaged, so all begins anew", flush=True)
            return None

    def _parts(self) -> dict[str, Any]:
        """What has state, by name."""
        # Of the type: a callback looks up what it lacks itself in the learner, and a learner in its network.
        stateful = {cb.name: cb for cb in self.learn.cbs if hasattr(type(cb), "state_dict")}
        return {"network": self.model, "optimiser": self.learn.opt, "batches": self.dls.train, **stateful}

    def _random(self) -> list[Any]:
        """The modules of torch that have random numbers which training uses."""
        device = torch.device(self.dls.device)
        return [torch] if device.type == "cpu" else [torch, torch.get_device_module(device)]

    def remove(self) -> None:
        """The stage has ended: forget how it went."""
        self.path.unlink(missing_ok=True)


class Finite(Callback):
    """Stop at a loss that is no number, before it spoils the weights."""

    order = 80  # after all that changes the loss

    def after_loss(self) -> None:
        """Look at the loss of the batch.

        Raises:
            PipelineError: it is not finite.
        """
        if not self.learn.loss.isfinite():
            # Of a run that goes on within an epoch, fastai's own number of the batch starts at 0 again.
            batch = self.train_iter - self.epoch * self.n_iter if self.training else self.iter
            where = f"epoch {self.epoch + 1}, batch {batch + 1} of {'training' if self.training else 'validation'}"
            raise PipelineError(
                f"the loss is {self.learn.loss.item()} at {where}; the last checkpoint, if there is one, is kept in "
                f"{FOLDER}; lower the learning rate in params.yaml"
            )
