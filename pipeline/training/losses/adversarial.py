"""The adversary's part in the step of a GAN, as a fastai callback."""

from typing import Any

import torch
from fastai.callback.core import Callback
from torch import Tensor

from pipeline.networks.discriminator import PatchDiscriminator
from pipeline.training import processes
from pipeline.training.precision import autocast


class AdversarialStep(Callback):
    """Update a discriminator on each batch, and add its verdict to the generator's loss.

    The discriminator learns first, from the generator's own forward pass; then its verdict on the same colours joins
    what else the generator is taught by (Isola et al. 2017, eq. 4, sections 3.1 and 3.3), as BCE.

    Args:
        discriminator: a `PatchDiscriminator`.
        optimiser: of the discriminator.
        weight: of the verdict.
    """

    order = 15  # after `LikenessLoss`, which it adds to

    def __init__(self, discriminator: PatchDiscriminator, optimiser: torch.optim.Optimizer, weight: float = 1):
        self.discriminator, self.optimiser, self.weight = discriminator, optimiser, weight
        self.weights = [parameter for parameter in discriminator.parameters() if parameter.requires_grad]

    def before_fit(self) -> None:
        """Move the discriminator to where the generator is, and lay it out like that; all processes share its steps."""
        layout: dict[str, Any] = {"device": self.dls.device, "memory_format": torch.channels_last}
        self.discriminator.to(**layout).train()
        self.learning = processes.parallel(self.discriminator, self.dls.train.share)

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"discriminator": self.discriminator.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        self.discriminator.load_state_dict(state["discriminator"])
        self.optimiser.load_state_dict(state["optimiser"])

    def _verdict(self, discriminator: torch.nn.Module, ab: Tensor, real: bool) -> Tensor:
        """How far the discriminator is from calling the colours real, or fake: a scalar."""
        with autocast(self.dls.device):
            logits = discriminator(self.x, ab, self.seen).float()
        target = torch.full_like(logits, float(real))
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, target)

    def _learn(self, whether: bool) -> None:
        for parameter in self.weights:
            parameter.requires_grad_(whether)

    def _mean(self, values: Tensor) -> Tensor:
        """Over the pictures of all processes, of what each of these has as much of."""
        return processes.mean(values.mean(), self.dls.train.share)

    def after_loss(self) -> None:
        """Update the discriminator, and add its verdict to the generator's loss."""
        if not self.training:
            return
        with autocast(self.dls.device):
            self.seen = self.discriminator.look(self.x, self._mean)
        self.real = self._verdict(self.learning, self.y, real=True)
        self.fake = self._verdict(self.learning, self.pred.detach(), real=False)
        self.optimiser.zero_grad()
        ((self.real + self.fake) / 2).backward()
        self.optimiser.step()

        self._learn(False)  # the generator's step needs no gradient of these weights
        self.adversarial = self._verdict(self.discriminator, self.pred, real=True)
        self._learn(True)
        self.learn.loss_grad = self.loss_grad + self.weight * self.adversarial
        self.learn.loss = self.learn.loss_grad.detach()
