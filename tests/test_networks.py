import pytest
import torch
from fastai.vision.models.unet import UnetBlock
from torch import nn

from pipeline.networks import encoder
from pipeline.networks.any_size import AnySize, mirrored
from pipeline.networks.classifier import Classifier
from pipeline.networks.discriminator import PatchDiscriminator
from pipeline.networks.generator import unet


def weights(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def body(architecture: str) -> nn.Sequential:
    return encoder.build(architecture, channels=1).body


def test_resnet20_has_the_weights_of_the_paper():
    # He et al. 2016, table 6: 0.27 M with 3 input channels and 10 classes.
    assert weights(Classifier("resnet20", channels=3, classes=10)) == pytest.approx(0.27e6, rel=0.03)


@pytest.mark.parametrize("architecture", ["vgg8", "resnet20", "resnet18", "resnet34"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_classifier_decides_by_its_features(architecture, channels):
    network = Classifier(architecture, channels, classes=7).eval()
    x = torch.rand(2, channels, 32, 32)
    features = network.features(x)
    assert features.shape == (2, network.head.in_features)
    torch.testing.assert_close(network.head(features), network(x))
    assert network(x).shape == (2, 7)


@pytest.mark.parametrize("architecture", ["vgg8", "resnet20", "resnet18"])
@pytest.mark.parametrize("size", [(32, 32), (96, 96), (33, 47)])
def test_a_unet_paints_two_channels_at_any_size(architecture, size):
    network = unet(architecture).eval()
    with torch.inference_mode():
        painted = network(torch.rand(1, 1, *size) * 2 - 1)
    assert painted.shape == (1, 2, *size)
    assert type(painted) is torch.Tensor


def test_a_unet_paints_a_mirrored_picture_with_mirrored_colours():
    network, l = unet("vgg8"), torch.rand(4, 1, 32, 32)  # noqa: E741
    nn.init.normal_(network.layers[-1].weight)
    with torch.inference_mode():
        assert not torch.allclose(network.train()(l.flip(3)), network(l).flip(3), atol=0.1)
        torch.testing.assert_close(network.eval()(l.flip(3)), network(l).flip(3), rtol=1e-3, atol=1e-3)
        network.trains_both_ways = True
        torch.testing.assert_close(network.train()(l.flip(3)), network(l).flip(3), rtol=1e-3, atol=1e-3)


def test_the_first_layer_of_a_unet_takes_a_classifiers_body():
    classifier = Classifier("resnet20", channels=1, classes=3)
    network = unet("resnet20")
    network.layers[0].load_state_dict(classifier.body.state_dict())
    l = torch.rand(2, 1, 32, 32)  # noqa: E741
    torch.testing.assert_close(network.layers[0].eval()(l), classifier.body.eval()(l))


@pytest.mark.parametrize(("downsamplings", "patch"), [(1, 12), (2, 26), (3, 54)])
def test_each_verdict_of_the_discriminator_sees_one_patch(downsamplings, patch):
    network = PatchDiscriminator(body("vgg8"), 4, downsamplings).eval()
    l, ab = torch.zeros(1, 1, 128, 128), torch.zeros(1, 2, 128, 128, requires_grad=True)  # noqa: E741
    logits = network(l, ab, network.look(l))
    middle = logits.shape[-1] // 2
    logits[0, 0, middle, middle].backward()
    seen = ab.grad.abs().sum((0, 1)).nonzero()
    assert (seen.max(0).values - seen.min(0).values + 1).tolist() == [patch, patch]


@pytest.mark.parametrize(("architecture", "size", "downsamplings"), [("resnet18", 16, 4), ("resnet18", 33, 3)])
def test_sides_that_are_rounded_up_change_nothing_of_what_the_discriminator_sees(architecture, size, downsamplings):
    network = PatchDiscriminator(body(architecture), 4, downsamplings)
    l = torch.rand(2, 1, size, size)  # noqa: E741
    assert network(l, torch.rand(2, 2, size, size), network.look(l)).shape[:2] == (2, 1)


@pytest.mark.parametrize("architecture", ["vgg8", "resnet20", "resnet18"])
@pytest.mark.parametrize("size", [32, 50])
def test_the_discriminator_looks_at_lightness_and_at_what_the_encoder_sees_in_it(architecture, size):
    network = PatchDiscriminator(body(architecture), 4, 2).eval()
    ab = torch.zeros(1, 2, size, size)
    dark, light = torch.zeros(1, 1, size, size), torch.rand(1, 1, size, size)
    seen = [network.look(l) for l in (dark, light)]  # noqa: E741
    verdict = network(dark, ab, seen[0])
    assert not torch.equal(verdict, network(light, ab, seen[0]))
    assert not torch.equal(verdict, network(dark, ab, seen[1]))


def test_the_encoder_in_the_discriminator_does_not_learn():
    network = PatchDiscriminator(body("vgg8"), 4, 2).train()
    before = {name: tensor.clone() for name, tensor in network.encoder.state_dict().items()}
    l, ab = torch.rand(8, 1, 32, 32), torch.rand(8, 2, 32, 32)  # noqa: E741
    network(l, ab, network.look(l)).sum().backward()
    assert all(parameter.grad is None for parameter in network.encoder.parameters())
    assert all(parameter.grad is not None for parameter in network.verdict.parameters())
    for name, tensor in network.encoder.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_a_colouriser_of_any_size_is_the_network_itself_where_that_needs_no_padding():
    network = unet("resnet20").eval()
    l = torch.rand(2, 1, 64, 32)  # noqa: E741
    torch.testing.assert_close(AnySize(network)(l), network(l))
    assert AnySize(network)(torch.rand(1, 1, 33, 7)).shape == (1, 2, 33, 7)


def test_what_a_network_sees_beyond_the_edge_is_the_picture_mirrored():
    assert mirrored(33).tolist() == [*range(33), *range(31, 0, -1)]
    assert mirrored(3).tolist() == [0, 1, 2, 1] * 8
    assert mirrored(1).tolist() == [0] * 32
    assert mirrored(32).tolist() == list(range(32))


def test_gradients_of_skips_are_laid_out_for_the_fast_kernel():
    network = unet("vgg8").to(memory_format=torch.channels_last).train()
    laid_out = []

    def watch(_: nn.Module, __: tuple[torch.Tensor], output: torch.Tensor) -> None:
        output.register_hook(
            lambda gradient: laid_out.append(gradient.is_contiguous(memory_format=torch.channels_last))
        )

    for module in network.modules():
        if isinstance(module, UnetBlock):
            module.bn.register_forward_hook(watch)
    network(torch.randn(2, 1, 32, 32)).sum().backward()
    assert laid_out == [True, True]
