"""A loss that wants colours like the real ones, and as many of them, as a fastai callback."""

from fastai.callback.core import Callback
from torch import Tensor

from pipeline.colour import l_ab_to_rgb
from pipeline.measuring import metrics
from pipeline.training import processes


class LikenessLoss(Callback):
    """Make λ·L1 + κ·edges + μ·paleness of the loss, which is L1.

    Paleness is how much less colourful than the real pictures the batch is painted (after Kang et al. 2023, 'DDColor',
    eq. 5, who want ever more colour): what the generator gets for colour, it paints where that costs the least L1.
    That would be in spots, which are more colourful than the same paint spread out. Hence the L1 of edges, see
    `metrics.edge_l1`: a spot has them where the real picture has none.

    Args:
        l1_weight: λ.
        colourfulness_weight: μ, a unit of colourfulness.
        edge_weight: κ.
    """

    order = 10  # before what is added to it

    def __init__(self, l1_weight: float, colourfulness_weight: float = 0, edge_weight: float = 0):
        self.l1_weight, self.colourfulness_weight, self.edge_weight = l1_weight, colourfulness_weight, edge_weight

    def after_loss(self) -> None:
        """Weigh the parts, and add them up."""
        if not self.training:
            return
        self.l1, self.edges = self.loss_grad, metrics.edge_l1(self.pred, self.y).mean()
        self.paleness = self._paleness()
        likeness = self.l1_weight * self.l1 + self.edge_weight * self.edges
        self.learn.loss_grad = likeness + self.colourfulness_weight * self.paleness
        self.learn.loss = self.learn.loss_grad.detach()

    def _paleness(self) -> Tensor:
        """How much less colourful than the real pictures the batch is painted: a scalar, 0 or more."""
        real, painted = (
            metrics.colourfulness(255 * l_ab_to_rgb(self.x, ab).permute(0, 2, 3, 1)) for ab in (self.y, self.pred)
        )
        share = self.dls.train.share
        return (processes.mean(real.mean(), share) - processes.mean(painted.mean(), share)).relu()
