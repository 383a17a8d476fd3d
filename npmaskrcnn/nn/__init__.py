"""What owns parameters: the module tree and its notes, layers, normalization, initialization."""

from . import init
from .depthwise import ConvNormActivation, DepthwiseConv2d
from .layers import (Conv2d, ConvNormReLU, ConvTranspose2d, Flatten, Linear, MaxPool2d, ReLU, conv_norm_relu,
                     conv_norm_relu_backward, relu)
from .module import FORGET, Buffer, Module, ModuleList, Notes, Parameter, Sequential
from .norm import BatchNorm2d, FrozenBatchNorm2d
