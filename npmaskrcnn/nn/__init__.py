"""What owns parameters: the module tree, layers, normalisation, initialisation."""

from . import init
from .layers import Conv2d, ConvTranspose2d, Flatten, Linear, MaxPool2d, ReLU
from .module import Buffer, Module, ModuleList, Parameter, Sequential
from .norm import BatchNorm2d, FrozenBatchNorm2d

__all__ = ["BatchNorm2d", "Buffer", "Conv2d", "ConvTranspose2d", "Flatten", "FrozenBatchNorm2d", "Linear",
           "MaxPool2d", "Module", "ModuleList", "Parameter", "ReLU", "Sequential", "init"]
