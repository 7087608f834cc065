"""Networks made without touching global random state, and the inference copy of a trained one."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from medmeta.models.resnet import BasicBlock
from medmeta.models.staged import StagedNetwork

Network = TypeVar("Network", bound=StagedNetwork)


def untrained(kind: type[Network], seed: int) -> Network:
    """A network on the CPU with random weights, the same for the same seed.

    Convolutions follow He et al. 2015 (arXiv:1502.01852, fan-in); normalisation starts as the identity. As it
    stays in eval mode and cannot hold back the growth of a sum of residuals, each residual branch starts smaller
    by the square root of their number, as De and Smith 2020 (arXiv:2002.10444) find normalisation to do.
    """
    with torch.device("meta"):  # no memory, and none of the global generator's numbers
        network = kind()
    network.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
    branches = [module for module in network.modules() if isinstance(module, BasicBlock)]
    for block in branches:
        nn.init.constant_(block.bn2.weight, len(branches) ** -0.5)
    return network.eval()


def folded(network: Network) -> Network:
    """An inference copy: each normalisation that follows a convolution in its module is folded into it."""
    copied = copy.deepcopy(network).eval()
    for module in copied.modules():
        for (conv_name, conv), (norm_name, norm) in pairwise(list(module.named_children())):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, conv_name, fuse_conv_bn_eval(conv, norm))
                setattr(module, norm_name, nn.Identity())
    return copied.requires_grad_(False)
