"""The PatchGAN: says of each patch whether it is a photograph's or the generator's."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pipeline.networks.generator import BUILD_SIZE

AB_GAIN = 3  # brings ab, most of which lies within ±0.3, to the range of l


class PatchDiscriminator(nn.Module):
    """A PatchGAN (Isola et al. 2017, 'Image-to-Image Translation …', section 6.1) that is told what is in the picture.

    After each down-step it joins what a pretrained encoder, which does not learn here, makes of L at that size. So it
    need not find out from few pictures what a horse is before it can say that this one is green (after Sauer et al.
    2021, 'Projected GANs Converge Faster'). Convolutions: of 4×4 and stride 2, which double the channels up to eight
    times the first, then two of 3×3; batch normalisation but in the first and last, LeakyReLU 0.2.

    Args:
        encoder: of l, as `encoder.build` makes it; its weights are not changed.
        filters: channels of the first layer.
        downsamplings: 1, 2, 3 give patches of 12, 26, 54 pixels.
    """

    def __init__(self, encoder: nn.Sequential, filters: int = 64, downsamplings: int = 2):
        super().__init__()
        self.encoder = encoder.eval().requires_grad_(False)
        layers = _layers(encoder, 2**downsamplings)
        self.factors, known = [factor for factor, _ in layers], dict(layers)
        self.downs, channels = nn.ModuleList(), 3
        for level in range(downsamplings):
            wide = filters * min(2**level, 8)
            norm = nn.BatchNorm2d(wide) if level else nn.Identity()
            self.downs.append(nn.Sequential(nn.Conv2d(channels, wide, 4, 2, 1), norm, nn.LeakyReLU(0.2)))
            channels = wide + known.get(2 ** (level + 1), 0)
        self.verdict = nn.Sequential(
            nn.Conv2d(channels, wide, 3, 1, 1), nn.BatchNorm2d(wide), nn.LeakyReLU(0.2), nn.Conv2d(wide, 1, 3, 1, 1)
        )
        for module in (*self.downs.modules(), *self.verdict.modules()):
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                nn.init.kaiming_normal_(module.weight, a=0.2)
                nn.init.zeros_(module.bias)

    def train(self, mode: bool = True) -> "PatchDiscriminator":
        """All but the encoder."""
        super().train(mode)
        self.encoder.eval()
        return self

    @torch.no_grad()
    def look(self, l: Tensor, mean: Callable[[Tensor], Tensor] = torch.mean) -> dict[int, Tensor]:  # noqa: E741
        """What the encoder makes of L, for `forward`: how often smaller the sides are → its last features there.

        Args:
            l: (N, 1, H, W) in [-1, 1].
            mean: over the whole batch, of which these pictures may be a part.
        """
        seen, x = {}, l
        for factor, layer in zip(self.factors, self.encoder, strict=False):
            seen[factor] = x = layer(x)
        return {factor: x / mean(x.square()).sqrt().clamp_min(1e-6) for factor, x in seen.items()}

    def forward(self, l: Tensor, ab: Tensor, seen: dict[int, Tensor]) -> Tensor:  # noqa: E741
        """Say how real the colours of each patch are.

        Args:
            l: (N, 1, H, W) in [-1, 1].
            ab: (N, 2, H, W) in [-1, 1].
            seen: what `look` makes of l.

        Returns:
            Logits, (N, 1, H', W'), high for real.
        """
        x = torch.cat((l, AB_GAIN * ab), dim=1)
        for level, down in enumerate(self.downs, start=1):
            x = down(x)
            if 2**level in seen:
                # Of odd sides the encoder may keep a pixel more, or a few.
                x = torch.cat((x, nn.functional.interpolate(seen[2**level], x.shape[2:])), dim=1)
        return self.verdict(x)


@torch.no_grad()
def _layers(encoder: nn.Sequential, most: int) -> list[tuple[int, int]]:
    """How often smaller the sides are after each of an encoder's layers, up to the last of `most`, and its channels."""
    found, x = [], torch.zeros(2, 1, BUILD_SIZE, BUILD_SIZE)
    for layer in encoder:
        x = layer(x)
        if (factor := BUILD_SIZE // x.shape[-1]) > most:
            break
        found.append((factor, x.shape[1]))
    return found
