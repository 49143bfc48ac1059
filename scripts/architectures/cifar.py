"""A name comes in; a network for CIFAR or MNIST as it is commonly copied goes out.

Names are those of the code a network comes from and of the network: `akamaster_resnet20`. Parts
that parameters do not show (activations, pooling, order of joining) are the published ones.
"""

from collections.abc import Callable
from functools import partial

from torch import nn

from architectures.cifar_networks import (
    DenseNet,
    GoogLeNet,
    MobileNet,
    MobileNetV2,
    SmallMobileNetV2,
    Vgg,
)
from architectures.cifar_resnets import (
    BasicBlock,
    BottleneckBlock,
    PreActivatedBlock,
    ResidualFunctionBlock,
    SmallResNet,
    StageNamedResNet,
    WideResNet,
    WideStageResNet,
)
from architectures.tutorials import EarlyMnistNet, LeNet, MnistNet, QuickstartNet

Build = Callable[[int], nn.Module]

_SMALL_DEPTHS = (20, 32, 44, 56, 110, 1202)
_COUNTS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
_COUNTS |= {152: (3, 8, 36, 3)}
_DENSE_COUNTS = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}


def _small(make: Callable[..., nn.Module], head: str, depth: int) -> Build:
    return lambda classes: SmallResNet(make, (depth - 2) // 6, classes, head)


def _staged(
    network: Callable[..., nn.Module], depth: int, basic: Callable[..., nn.Module], **more: bool
) -> Build:
    """A network of 18 to 152 layers; from 50 on its blocks are bottlenecks."""
    expansion = 1 if depth < 50 else 4
    if basic is BasicBlock:
        block = BasicBlock if expansion == 1 else BottleneckBlock
    else:
        block = partial(basic, expansion=expansion)
    return lambda classes: network(block, _COUNTS[depth], classes, expansion, **more)


def _resnext(groups: int, width: int, classes: int) -> nn.Module:
    make = partial(BottleneckBlock, expansion=2, groups=groups)
    return WideStageResNet(make, (3, 3, 3), classes, 2, stem_kernel=1, width=groups * width)


def _senet(classes: int) -> nn.Module:
    return WideStageResNet(partial(PreActivatedBlock, squeezed=True), _COUNTS[18], classes)


_AKAMASTER = {
    f"akamaster_resnet{depth}{suffix}": _small(partial(BasicBlock, option=option), "linear", depth)
    for option, suffix in (("A", ""), ("B", "_b"))
    for depth in _SMALL_DEPTHS
}
_CHENYAOFO: dict[str, Build] = {
    **{
        f"chenyaofo_resnet{depth}": _small(partial(BasicBlock, name="downsample"), "fc", depth)
        for depth in (20, 32, 44, 56)
    },
    **{f"chenyaofo_vgg{depth}_bn": partial(Vgg, depth, hidden=512) for depth in (11, 13, 16, 19)},
    **{
        f"chenyaofo_mobilenetv2_x{name}": partial(SmallMobileNetV2, factor)
        for name, factor in (("0_5", 0.5), ("0_75", 0.75), ("1_0", 1.0), ("1_4", 1.4))
    },
}
_KUANGLIU: dict[str, Build] = {
    **{f"kuangliu_resnet{depth}": _staged(WideStageResNet, depth, BasicBlock) for depth in _COUNTS},
    **{
        f"kuangliu_preact_resnet{depth}": _staged(
            WideStageResNet, depth, PreActivatedBlock, normed=False
        )
        for depth in _COUNTS
    },
    **{f"kuangliu_vgg{depth}": partial(Vgg, depth, hidden=0) for depth in (11, 13, 16, 19)},
    **{
        f"kuangliu_densenet{depth}": partial(DenseNet, counts, 32)
        for depth, counts in _DENSE_COUNTS.items()
    },
    "kuangliu_densenet161": partial(DenseNet, (6, 12, 36, 24), 48),
    "kuangliu_densenet_cifar": partial(DenseNet, _DENSE_COUNTS[121], 12),
    "kuangliu_mobilenet": MobileNet,
    "kuangliu_mobilenetv2": MobileNetV2,
    "kuangliu_googlenet": GoogLeNet,
    "kuangliu_senet18": _senet,
    **{
        f"kuangliu_resnext29_{groups}x{width}d": partial(_resnext, groups, width)
        for groups, width in ((2, 64), (4, 64), (8, 64), (32, 4))
    },
}
_WEIAICUNZAI: dict[str, Build] = {
    **{
        f"weiaicunzai_resnet{depth}": _staged(StageNamedResNet, depth, ResidualFunctionBlock)
        for depth in _COUNTS
    },
    **{
        f"weiaicunzai_vgg{depth}_bn": partial(Vgg, depth, hidden=4096) for depth in (11, 13, 16, 19)
    },
}
_OTHERS: dict[str, Build] = {
    **{
        f"xternalizers_wrn_{depth}_{factor}": partial(WideResNet, depth, factor)
        for depth, factor in ((16, 4), (16, 8), (28, 2), (28, 10), (40, 2), (40, 4))
    },
    **{
        f"bamos_densenet_bc_{depth}_{growth}": partial(
            DenseNet, ((depth - 4) // 6,) * 3, growth, joined_last=True
        )
        for depth, growth in ((100, 12), (190, 40))
    },
}
_TUTORIALS: dict[str, Build] = {
    "tutorial_lenet": LeNet,
    "tutorial_lenet_grey": partial(LeNet, channels=1),
    "tutorial_lenet_mnist": partial(LeNet, channels=1, edge=28),
    "example_mnist": MnistNet,
    "example_mnist_2017": EarlyMnistNet,
    "example_mnist_2018": partial(EarlyMnistNet, widths=(20, 50), hidden=500),
    "tutorial_quickstart": QuickstartNet,
}
ARCHITECTURES: dict[str, Build] = {
    **_AKAMASTER,
    **_CHENYAOFO,
    **_KUANGLIU,
    **_WEIAICUNZAI,
    **_OTHERS,
    **_TUTORIALS,
}
"""Builders by name; each takes the number of classes."""

_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_CIFAR10 = {"mean": (0.4914, 0.4822, 0.4465), "std": (0.2023, 0.1994, 0.2010)}
_CIFAR100 = {"mean": (0.5071, 0.4865, 0.4409), "std": (0.2673, 0.2564, 0.2762)}
_WIDE = {"mean": (0.4914, 0.4824, 0.4467), "std": (0.2471, 0.2435, 0.2616)}
_BAMOS = {"mean": (0.4914, 0.4822, 0.4465), "std": (0.2470, 0.2435, 0.2616)}
_HALF = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
_GREY_HALF = {"mean": (0.5,), "std": (0.5,)}
_MNIST = {"mean": (0.1307,), "std": (0.3081,)}
_FEEDS = {
    "akamaster": _IMAGENET,
    "chenyaofo": _CIFAR10,
    "kuangliu": _CIFAR10,
    "weiaicunzai": _CIFAR100,
    "xternalizers": _WIDE,
    "bamos": _BAMOS,
    "example": _MNIST,
}
_TUTORIAL_FEEDS = {
    "tutorial_lenet": _HALF,
    "tutorial_lenet_grey": _GREY_HALF,
    "tutorial_lenet_mnist": _GREY_HALF,
    "tutorial_quickstart": {"mean": (0.0,), "std": (1.0,)},
}
_EDGE_28 = ("tutorial_lenet_mnist", "tutorial_quickstart")


def _input(name: str) -> dict[str, object]:
    origin = name.split("_")[0]
    edge = 28 if name in _EDGE_28 or origin == "example" else 32
    feed = _TUTORIAL_FEEDS.get(name) or _FEEDS[origin]
    return {**feed, "size": edge, "crop_fraction": 1.0}


INPUTS: dict[str, dict[str, object]] = {name: _input(name) for name in ARCHITECTURES}
"""What the code of each network feeds: pictures from 0 to 1, minus `mean`, by `std`, one value a
channel (one: grey pictures); `size` is their edge, and `crop_fraction` what is cut out of them."""
