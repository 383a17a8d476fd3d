"""How far one number sees: back from one cell of the last map, layer by layer."""


def receptive_field(layers):
    cells = 1
    for kernel, stride in reversed(layers):
        cells = (cells - 1) * stride + kernel
    return cells
