"""Muon, the optimiser of the classifiers and the U-Net."""

from collections.abc import Iterable

import torch
from torch import Tensor

from pipeline.training.precision import fastest

MOMENTUM = 0.95
BETAS, EPSILON = (0.9, 0.99), 1e-8
NEWTON_SCHULZ_STEPS = 5
NEWTON_SCHULZ = 3.4445, -4.7750, 2.0315  # the coefficients that Jordan tuned for speed
FEWEST_CHANNELS = 4  # out of a hidden convolution; one with fewer paints the result
ROOT_MEAN_SQUARE = 0.2  # of an update at learning rate 1, about Adam's


class Muon(torch.optim.Optimizer):
    """Orthogonalised momentum for hidden convolutions, Adam for all else, decoupled weight decay for both.

    The momentum of a convolution, as a matrix (channels out, channels in × height × width), is replaced by the nearest
    matrix with orthogonal rows or columns, so that a step changes all directions alike, not mostly the few that
    dominate the gradient (Jordan et al. 2024, 'Muon: An optimizer for hidden layers in neural networks'). Updates are
    scaled to the size of Adam's, so that both share a learning rate (Liu et al. 2025, 'Muon is scalable for LLM
    training', eq. 4).

    Args:
        parameters: of the network.
        lr: learning rate of both.
        weight_decay: of all that is no bias and no part of a normalisation.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, weight_decay: float = 0):
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # none of ours needs a closure
        """Update all parameters that have a gradient."""
        for group in self.param_groups:
            rate, decay = group["lr"], 1 - group["lr"] * group["weight_decay"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                mixes = parameter.ndim > 1 and parameter[0].numel() > 1  # others have a number a channel, as biases
                if mixes:
                    parameter.mul_(decay)
                hidden = mixes and parameter.ndim == 4 and len(parameter) >= FEWEST_CHANNELS
                update = (self._muon if hidden else self._adam)(parameter, parameter.grad)
                parameter.sub_(rate * update)

    def _muon(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].lerp_(gradient, 1 - MOMENTUM)
        nesterov = gradient.lerp(state["momentum"], MOMENTUM)
        matrix = orthogonalise(nesterov.flatten(1))
        return (ROOT_MEAN_SQUARE * max(matrix.shape) ** 0.5 * matrix).view_as(parameter)

    def _adam(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        """Kingma & Ba 2015, algorithm 1."""
        state = self.state[parameter]
        if not state:
            state.update(step=0, mean=torch.zeros_like(parameter), square=torch.zeros_like(parameter))
        state["step"] += 1
        state["mean"].lerp_(gradient, 1 - BETAS[0])
        state["square"].lerp_(gradient.square(), 1 - BETAS[1])
        mean = state["mean"] / (1 - BETAS[0] ** state["step"])
        square = state["square"] / (1 - BETAS[1] ** state["step"])
        return mean / (square.sqrt() + EPSILON)


def orthogonalise(matrix: Tensor) -> Tensor:
    """About U Vᵀ of the singular value decomposition U S Vᵀ of (M, N): its singular values lie in about 0.7 to 1.2.

    Newton's and Schulz's iteration, which needs nothing but matrix products, with a quintic polynomial.
    """
    a, b, c = NEWTON_SCHULZ
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix  # the smaller of the two products with itself
    wide = wide / (wide.norm() + 1e-7)  # no singular value above 1, from where the iteration converges
    wide = wide.to(fastest(matrix.device))  # it need not be exact, and costs a good part of a step
    for _ in range(NEWTON_SCHULZ_STEPS):
        square = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(square, square, square, beta=b, alpha=c), wide, beta=a)
    wide = wide.to(matrix.dtype)
    return wide.T if matrix.shape[0] > matrix.shape[1] else wide
