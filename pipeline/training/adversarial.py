"""The step of the GAN, as a fastai callback."""

from typing import Any

import torch
from fastai.callback.core import Callback
from torch import Tensor

from pipeline import metrics
from pipeline.colour import l_ab_to_rgb
from pipeline.training import processes
from pipeline.training.precision import autocast


class AdversarialStep(Callback):
    """Turn each step on L1 into one of a conditional GAN, both networks updated on each batch.

    The discriminator learns first, from the generator's own forward pass; then its verdict on the same colours joins
    the generator's loss (Isola et al. 2017, eq. 4, sections 3.1 and 3.3): BCE + λ·L1 + κ·edges + μ·paleness.

    Paleness is how much less colourful than the real pictures the batch is painted (after Kang et al. 2023, 'DDColor',
    eq. 5, who want ever more colour): what the generator gets for colour, it paints where that costs the least L1.
    That would be in spots, which are more colourful than the same paint spread out. Hence the L1 of edges, see
    `metrics.edge_l1`: a spot has them where the real picture has none.

    Args:
        discriminator: a `PatchDiscriminator`.
        optimiser: of the discriminator.
        l1_weight: λ.
        colourfulness_weight: μ, a unit of colourfulness.
        edge_weight: κ.
    """

    order = 10

    def __init__(
        self,
        discriminator: torch.nn.Module,
        optimiser: torch.optim.Optimizer,
        l1_weight: float,
        colourfulness_weight: float = 0,
        edge_weight: float = 0,
    ):
        self.discriminator, self.optimiser, self.l1_weight = discriminator, optimiser, l1_weight
        self.colourfulness_weight, self.edge_weight = colourfulness_weight, edge_weight

    def before_fit(self) -> None:
        """Move the discriminator to where the generator is, and lay it out like that; all processes share its steps."""
        self.discriminator.to(device=self.dls.device, memory_format=torch.channels_last).train()
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

    def _mean(self, values: Tensor) -> Tensor:
        """Over the pictures of all processes, of what each of these has as much of."""
        return processes.mean(values.mean(), self.dls.train.share)

    def _paleness(self) -> Tensor:
        """How much less colourful than the real pictures the batch is painted: a scalar, 0 or more."""
        real, painted = (
            self._mean(metrics.colourfulness(255 * l_ab_to_rgb(self.x, ab).permute(0, 2, 3, 1)))
            for ab in (self.y, self.pred)
        )
        return (real - painted).relu()

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

        self.discriminator.requires_grad_(False)  # the generator's step needs no gradient of these weights
        self.l1, self.adversarial = self.loss_grad, self._verdict(self.discriminator, self.pred, real=True)
        self.discriminator.requires_grad_(True)
        self.paleness, self.edges = self._paleness(), metrics.edge_l1(self.pred, self.y).mean()
        likeness = self.l1_weight * self.l1 + self.edge_weight * self.edges
        self.learn.loss_grad = self.adversarial + likeness + self.colourfulness_weight * self.paleness
        self.learn.loss = self.learn.loss_grad.detach()
