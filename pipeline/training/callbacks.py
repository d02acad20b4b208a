"""What training does besides its steps, as fastai callbacks of one concern each."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping

import torch
from fastai.callback.core import Callback
from fastai.learner import Learner
from torch import Tensor
from tqdm import tqdm

Measure = Callable[[Learner], Tensor]


class History(Callback):
    """A row an epoch: each part of the loss in training, each measure on the validation pictures, and the seconds.

    Shows a progress bar on a terminal, and the rows everywhere.

    Args:
        parts: name → scalar of the current training batch.
        measures: name → scalar of the current validation batch.
    """

    order = 70  # after all that changes the loss

    def __init__(self, parts: Mapping[str, Measure], measures: Mapping[str, Measure]):
        self.parts, self.measures = parts, measures
        self.rows: list[dict[str, float]] = []

    def before_epoch(self) -> None:
        """Start a row."""
        steps = len(self.dls.train) + len(self.dls.valid)
        self.bar = tqdm(total=steps, desc=f"epoch {self.epoch + 1}/{self.n_epoch}", leave=False, disable=None)
        self.sums: dict[str, Tensor] = defaultdict(lambda: torch.zeros(()))
        self.counts: dict[str, int] = defaultdict(int)
        self.started = time.perf_counter()

    def after_batch(self) -> None:
        """Add a batch to the means of the row, weighted by its pictures."""
        for name, measure in (self.parts if self.training else self.measures).items():
            self.sums[name] = self.sums[name] + measure(self.learn).detach().cpu() * len(self.x)
            self.counts[name] += len(self.x)
        self.bar.update()

    def after_epoch(self) -> None:
        """End the row, and show it."""
        self.bar.close()
        means = {name: (self.sums[name] / self.counts[name]).item() for name in (*self.parts, *self.measures)}
        seconds = round(time.perf_counter() - self.started, 1)
        self.rows.append({"epoch": self.epoch + 1, **means, "seconds": seconds})
        shown = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
        print(f"epoch {self.epoch + 1}/{self.n_epoch}  {shown}  {seconds:.0f} s", flush=True)


class MovingAverage(Callback):
    """Validate, and end, with an exponential moving average of all weights and batch statistics over the steps.

    It takes the noise of adversarial steps out of the generator (Yazıcı et al. 2018, 'The Unusual Effectiveness of
    Averaging in GAN Training', eq. 2).

    Args:
        decay: share of the average that a step keeps, in [0, 1); 0 averages nothing.
    """

    order = 65

    def __init__(self, decay: float):
        self.decay = decay

    def _tensors(self) -> list[Tensor]:
        return [tensor for tensor in self.model.state_dict().values() if tensor.is_floating_point()]

    def _swap(self) -> None:
        for tensor, average in zip(self._tensors(), self.averages, strict=True):
            kept = tensor.clone()
            tensor.copy_(average)
            average.copy_(kept)

    def before_fit(self) -> None:
        """Start from the weights there are."""
        self.averages = [tensor.clone() for tensor in self._tensors()]

    def after_step(self) -> None:
        """Move a little towards the new weights."""
        # The first steps count for more, or the average would hang on to the start (as in torch_ema).
        decay = min(self.decay, (1 + self.train_iter) / (10 + self.train_iter))
        torch._foreach_lerp_(self.averages, self._tensors(), 1 - decay)

    def before_validate(self) -> None:
        """Put the average in place."""
        self._swap()

    def after_validate(self) -> None:
        """Put the weights being trained back."""
        self._swap()

    def after_fit(self) -> None:
        """Keep the average."""
        self._swap()


class AdversarialStep(Callback):
    """Turn each step on L1 into one of a conditional GAN: BCE + λ·L1, both networks updated on each batch.

    The discriminator learns first, from the generator's own forward pass; then its verdict on the same colours joins
    the generator's loss (Isola et al. 2017, eq. 4, sections 3.1 and 3.3).

    Args:
        discriminator: (l, ab) → logits, high for real.
        optimiser: of the discriminator.
        l1_weight: λ.
    """

    order = 10

    def __init__(self, discriminator: torch.nn.Module, optimiser: torch.optim.Optimizer, l1_weight: float):
        self.discriminator, self.optimiser, self.l1_weight = discriminator, optimiser, l1_weight

    def before_fit(self) -> None:
        """Move the discriminator to where the generator is."""
        self.discriminator.to(self.dls.device).train()

    def _verdict(self, ab: Tensor, real: bool) -> Tensor:
        """How far the discriminator is from calling the colours real, or fake: a scalar."""
        logits = self.discriminator(self.x, ab)
        target = torch.full_like(logits, float(real))
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, target)

    def after_loss(self) -> None:
        """Update the discriminator, and add its verdict to the generator's loss."""
        if not self.training:
            return
        self.real, self.fake = self._verdict(self.y, real=True), self._verdict(self.pred.detach(), real=False)
        self.optimiser.zero_grad()
        ((self.real + self.fake) / 2).backward()
        self.optimiser.step()

        self.discriminator.requires_grad_(False)  # the generator's step needs no gradient of these weights
        self.l1, self.adversarial = self.loss_grad, self._verdict(self.pred, real=True)
        self.discriminator.requires_grad_(True)
        self.learn.loss_grad = self.adversarial + self.l1_weight * self.l1
        self.learn.loss = self.learn.loss_grad.detach()
