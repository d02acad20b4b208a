"""A loss that makes features of painted pictures as varied as those of real ones, as a fastai callback."""

from typing import Any

import torch
from fastai.callback.core import Callback
from torch import Tensor, nn

from pipeline.colour import l_ab_to_rgb
from pipeline.training import processes
from pipeline.training.precision import autocast

PICTURES = 8000  # over about how many of the last ones mean and covariance are averaged, at least
ENOUGH = 16  # pictures for each feature, before a covariance is worth anything
RAMP = 4000  # pictures over which its weight grows from 0, once it begins
EVERY = 5  # batches from one transport map to the next, which decomposes matrices
MOST = 0.3  # distance as which all larger ones count; twice what a U-Net starts with on CIFAR-10
RIDGE = 1e-4  # of the mean variance, added to each feature's, lest few pictures leave one without any
TINY = 1e-12  # if none has any


class FrechetLoss(Callback):
    """Add ν times the Fréchet distance between the features of painted and of real pictures to the loss.

    A PatchGAN sees patches of single pictures. That all horses are painted in the same brown it cannot see; mean and
    covariance of features over many pictures tell (Mathiasen & Hvilshøj 2020, 'Backpropagating through Fréchet
    Inception Distance'). They are moving averages over the same batches, painted and real, so that chance in which
    pictures these are hardly counts. With the optimal transport map m between both Gaussians (see `transport`), the
    gradient of the distance with respect to each of N painted pictures' features x is 2/N (x − m(x)), which is that of
    the mean of |x − m(x)|² where m is held: each picture's features are drawn to where real ones of their rank lie.

    A distance above `MOST` counts as that, or where few pictures are known by heart nothing else would count. The term
    begins when there are pictures enough for a covariance, and gently, lest it throw the generator off its path.

    Args:
        features: the body of a classifier of rgb in [0, 1], as `encoder.build` makes it; its weights are not changed.
        weight: ν.
    """

    order = 20  # after the adversarial step, which it adds to

    def __init__(self, features: nn.Module, weight: float):
        self.features, self.weight = features.eval().requires_grad_(False), weight

    def before_fit(self) -> None:
        """Start with no averages."""
        layout: dict[str, Any] = {"device": self.dls.device, "memory_format": torch.channels_last}
        self.features.to(**layout)
        self.seen = 0  # pictures
        self.averages: dict[str, list[Tensor]] = {}  # painted and real → mean (F,) and mean of the products (F, F)
        self.map: dict[str, Tensor] = {}
        self.batches = 0
        self.distance: Tensor | None = None  # until there are enough pictures

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {name: getattr(self, name) for name in ("seen", "averages", "map", "batches", "distance")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        self.__dict__.update(state)

    def after_loss(self) -> None:
        """Add to the loss, once enough pictures were seen."""
        if not self.training:
            return
        painted = self._features(self.pred)
        with torch.no_grad():
            self._average(painted=painted, real=self._features(self.y))
        if self.seen == self.dls.train.batch_size:
            self._foresee()
        late = self.seen - self._enough()
        if late < 0:
            return
        if self.batches % EVERY == 0:
            self._update_map()
        assert self.distance is not None
        self.batches += 1
        mean, matrix, goal = (self.map[name].to(painted) for name in ("mean", "matrix", "goal"))
        there = goal + (painted.detach() - mean) @ matrix
        # A number, which any device takes; a tensor of float64 not every one does.
        weight = float(self.weight * min(1, late / RAMP) * (MOST / self.distance.clamp(min=MOST)))
        self.learn.loss_grad = self.loss_grad + weight * (painted - there).square().sum(1).mean()
        self.learn.loss = self.learn.loss_grad.detach()

    def _foresee(self) -> None:
        """Say so if it will never begin."""
        seen = self.n_epoch * len(self.dls.train) * self.dls.train.batch_size
        if self.weight and seen < self._enough() and processes.first():
            needed = f"{seen} pictures will be seen, it begins at {self._enough()}"
            print(f"the Fréchet distance will not count: {needed}; raise gan.epochs in params.yaml", flush=True)

    def _enough(self) -> int:
        """From how many pictures on the term counts."""
        return ENOUGH * len(self.averages["real"][0])

    def _features(self, ab: Tensor) -> Tensor:
        """(N, 2, H, W) → (N, F)."""
        rgb = l_ab_to_rgb(self.x, ab)
        with autocast(self.dls.device):
            return self.features(rgb).float().mean((2, 3))  # the mean in float32, for which bfloat16 is too coarse

    def _average(self, **batch: Tensor) -> None:
        count, share = self.dls.train.batch_size, self.dls.train.share
        self.seen += count
        for name, features in batch.items():
            x = features.cpu().double()  # float32 is too coarse for roots, and not every device has more
            new = [processes.mean(average, share) for average in (x.mean(0), x.T @ x / len(x))]
            old = self.averages.get(name, new)
            part = min(1, count / min(self.seen, max(PICTURES, ENOUGH * len(new[0]))))
            self.averages[name] = [a.lerp(b, part) for a, b in zip(old, new, strict=True)]

    def _update_map(self) -> None:
        means, covariances = {}, {}
        for name, (mean, products) in self.averages.items():
            covariance = products - mean[:, None] * mean
            ridge = RIDGE * covariance.diagonal().mean() + TINY
            means[name], covariances[name] = mean, covariance + ridge * torch.eye(len(mean), dtype=mean.dtype)
        matrix, between = transport(covariances["painted"], covariances["real"])
        self.distance = (means["painted"] - means["real"]).square().sum() + between
        self.map = {"mean": means["painted"], "matrix": matrix, "goal": means["real"]}


def transport(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """The matrix T = Σ₁^-½ (Σ₁^½ Σ₂ Σ₁^½)^½ Σ₁^-½ that makes Σ₂ of Σ₁ (T Σ₁ T = Σ₂) with the least movement.

    Of two Gaussians, x → µ₂ + T (x − µ₁) is the optimal transport map, and what it moves x by, squared and on average,
    their Fréchet distance (Dowson & Landau 1982; Peyré & Cuturi 2019, 'Computational Optimal Transport', remark 2.31).

    Args:
        first: covariance Σ₁, (F, F), which must be regular.
        second: covariance Σ₂, (F, F).

    Returns:
        T, (F, F), and tr(Σ₁ + Σ₂ − 2 (Σ₁^½ Σ₂ Σ₁^½)^½), a scalar.
    """
    root, inverse = _powers(first, 0.5, -0.5)
    (middle,) = _powers(root @ second @ root, 0.5)
    return inverse @ middle @ inverse, (first + second - 2 * middle).trace()


def _powers(matrix: Tensor, *exponents: float) -> list[Tensor]:
    """Of a symmetric matrix without negative eigenvalues, but by rounding; of one with no numbers, no numbers."""
    try:
        values, vectors = torch.linalg.eigh(matrix)
    except torch.linalg.LinAlgError:  # as elsewhere, what comes of no numbers is none; `Finite` will tell
        return [torch.full_like(matrix, torch.nan)] * len(exponents)
    values = values.clamp_min(torch.finfo(values.dtype).tiny)
    return [vectors * values**exponent @ vectors.T for exponent in exponents]
