"""Checkpoints: a training run that was killed goes on where it was, as a fastai callback."""

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Iterable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from fastai.callback.core import Callback, CancelEpochException

from pipeline.system.errors import PipelineError, ran_out_of_memory
from pipeline.system.files import write_all
from pipeline.system.lock import checkpoints
from pipeline.training import identity, processes

MINUTES = 5  # between checkpoints within an epoch
LOWER = "lower the learning rate in params.yaml"  # the way out where a network gives what is no number


class Checkpoint(Callback):
    """Save all that the rest of a run depends on, and go on from there when the same run is started again.

    Saves at the end of each epoch's training, and every few minutes within one. On a CPU the result is the same to the
    last bit as that of a run that was never stopped; a GPU may add numbers in another order each time. A part is saved
    if it has `state_dict` and `load_state_dict`: network, optimiser, training batches, and other callbacks; besides,
    the state of the random numbers.

    Experiments that train the same at the same time share a checkpoint, for each can go on from the other's. It is
    written whole or not at all, so they do not disturb each other.

    Args:
        stage: whose run this is, such as train-unet.
        module: see `identity.describe`.
        settings: see `identity.describe`.
        inputs: see `identity.describe`.
    """

    order = 90  # after all whose state is saved or restored

    def __init__(self, stage: str, module: str, settings: Mapping[str, Any], inputs: Iterable[Path]):
        self.stage, self.describe = stage, partial(identity.describe, module, settings, inputs)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What tells this run from others; of the first process alone, for it reads all inputs."""
        return self.describe()

    @cached_property
    def path(self) -> Path:
        """The file."""
        key = hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()[:16]
        return checkpoints() / f"{self.stage}-{key}.pt"

    def before_fit(self) -> None:
        """Look for a checkpoint."""
        self.saved = processes.same(_read(self.path) if processes.first() and self.path.exists() else None)
        self.saved_at = time.monotonic()
        if not self.saved and processes.first():
            self._name_other()

    def _name_other(self) -> None:
        """Say of the last checkpoint of another run of this stage, if there is one, why it is of no use."""
        others = set(self.path.parent.glob(f"{self.stage}-*.pt")) - {self.path}
        last = max(others, key=lambda path: path.stat().st_mtime, default=None)
        if last and (saved := _read(last)):
            differences = identity.differences(saved.get("identity", {}), self.identity)
            print(f"{last}: of another run ({differences}), so this one begins anew", flush=True)

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
        for source, state in zip(self._random(), self.saved["random"][processes.rank()], strict=True):
            source.set_rng_state(state)
        batches = self.saved["parts"]["batches"]["given"], len(self.dls.train)
        print("going on in epoch {}/{}, after batch {}/{}".format(self.epoch + 1, self.n_epoch, *batches), flush=True)
        self.saved = None

    def after_batch(self) -> None:
        """Save when it is time."""
        ended = self.dls.train.state["given"] == len(self.dls.train)
        if self.training and (ended or processes.same(time.monotonic() - self.saved_at > 60 * MINUTES)):
            self._save()

    def _save(self) -> None:
        state = {
            "epoch": self.epoch,
            "pct_train": self.pct_train,
            "train_iter": self.train_iter,
            "parts": {name: part.state_dict() for name, part in self._parts().items()},
            "random": processes.gather([source.get_rng_state() for source in self._random()]),
        }
        if not processes.first() or not all(tensor.isfinite().all() for tensor in self.model.state_dict().values()):
            return  # if they are no numbers, the next loss will tell; what there is may be good
        content = io.BytesIO()  # of a full disk, torch would say something else than the system
        torch.save({"identity": self.identity, **state}, content)
        write_all({self.path: lambda path: path.write_bytes(content.getbuffer())})
        self.saved_at = time.monotonic()

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


def _read(path: Path) -> dict[str, Any] | None:
    try:
        with zipfile.ZipFile(path) as file:
            if damaged := file.testzip():  # torch writes checksums, but does not look at them
                raise zipfile.BadZipFile(damaged)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of a damaged file torch says now this, now that
        if ran_out_of_memory(error):
            raise
        print(f"{path}: damaged, so all begins anew", flush=True)
        return None


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
                f"{checkpoints()}; {LOWER}"
            )
