"""Which level, cell and anchor stand at an index of the list of all anchors."""


def locate_anchor(index, grids, anchors_per_cell):
    level = 0
    while index >= grids[level][0] * grids[level][1] * anchors_per_cell:
        index -= grids[level][0] * grids[level][1] * anchors_per_cell
        level += 1
    cell, anchor = divmod(index, anchors_per_cell)
    row, column = divmod(cell, grids[level][1])
    return level, row, column, anchor
