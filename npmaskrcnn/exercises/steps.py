"""Exercises about one training step: gradients that join and one that is cut, and how far a step moves the weights."""

import numpy as np

from npmaskrcnn.exercises.exercise import Case, Exercise


def _array(*numbers):
    return np.array(numbers, dtype=np.float64)


# ---- a join and a cut ----


def _join_reference(p3, rpn_weight, drpn, cells, dbox, dmask, dcells):
    rows, columns = cells.T
    dp3 = drpn @ rpn_weight.T
    np.add.at(dp3, (rows, columns), dbox)
    np.add.at(dp3, (rows[:len(dmask)], columns[:len(dmask)]), dmask)
    return dp3, np.einsum("yxc,yxk->ck", p3, drpn)


def _join_case(about, hint="", drpn=0.0, cells=(), dbox=(), dmask=(), dcells=0.0):
    """A map of 2x2 cells with two channels, and an RPN with three outputs; what is not named is 0."""
    num = len(cells)
    inputs = dict(p3=_array(1, 2, 3, 4, 5, 6, 7, 8).reshape(2, 2, 2), rpn_weight=_array(1, 0, 10, -1, 2, 1).reshape(2, 3),
                  drpn=np.zeros((2, 2, 3)) + drpn, cells=np.array(cells, int).reshape(num, 2),
                  dbox=_array(*dbox).reshape(num, 2), dmask=_array(*dmask).reshape(-1, 2), dcells=np.zeros((num, 2)) + dcells)
    return Case(about, inputs, hint)


def _join_cases():
    rng = np.random.default_rng(6)
    only_score = np.zeros((2, 2, 3))
    only_score[0, 1, 0] = 1.0
    cells = rng.integers(0, (4, 5), (7, 2))
    cells[5] = cells[1]
    return [
        _join_case("the RPN alone: no RoI, and one score that pulls", "the RPN computes p3 @ rpn_weight in each cell; its backward is "
                   "drpn @ rpn_weight.T for the map, and for the weight the sum over the cells of (what went in) x (what came back)",
                   drpn=only_score),
        _join_case("the box head alone: one RoI", "a RoI that reads a cell sends its gradient to this cell, and to no other",
                   cells=[(1, 0)], dbox=(1, 2)),
        _join_case("both heads: two RoIs, of which the first is positive", "dmask has a row for each of the *first* P RoIs, the positive ones",
                   cells=[(1, 0), (0, 1)], dbox=(1, 2, 3, 4), dmask=(10, 20)),
        _join_case("two RoIs that read the same cell", "both gradients count: dp3[rows, columns] += ... keeps only the last; np.add.at, or a loop, adds all",
                   cells=[(1, 0), (1, 0)], dbox=(1, 2, 3, 4)),
        _join_case("a gradient by the RoI's place", "the cut: where a RoI lies has been decided, and is a constant. dcells goes nowhere, neither to the "
                   "map nor to the RPN's weight", cells=[(1, 0)], dbox=(1, 2), dcells=5.0),
        Case("a map of 4x5 cells, 7 RoIs, 3 of them positive",
             dict(p3=rng.standard_normal((4, 5, 3)), rpn_weight=rng.standard_normal((3, 3)), drpn=rng.standard_normal((4, 5, 3)),
                  cells=cells, dbox=rng.standard_normal((7, 3)), dmask=rng.standard_normal((3, 3)), dcells=rng.standard_normal((7, 2))),
             "all three consumers add into dp3; rpn_weight hears the RPN's own losses alone"),
    ]


JOIN_GRADIENTS = Exercise(
    name="join_gradients",
    statement="""P3 is read three times: by the RPN, by the box head and by the mask head. Join what comes back, and cut where a decision was
made. In small: `p3` is a map `(H, W, C)`. The RPN multiplies each cell by a matrix, `rpn = p3 @ rpn_weight`; of the three numbers in a cell, the
first is the score and the others say where, in rows and columns, a RoI is to lie. So R RoIs were placed, and each reads one whole cell, `cells[r]` (row, column): the box head at all of them,
the mask head at the first P, the positive ones. Backward, you are given the gradients by the RPN's output (`drpn`, from its own two losses), by what the heads have read (`dbox`, `dmask`), and also by the
places at which they read (`dcells`). Return the gradients by `p3` and by `rpn_weight`, as Mask R-CNN computes them.""",
    stub='''
def join_gradients(p3, rpn_weight, drpn, cells, dbox, dmask, dcells):
    """p3 (H, W, C), rpn_weight (C, 3), drpn (H, W, 3), cells (R, 2), dbox (R, C), dmask (P, C), dcells (R, 2)
    -> dp3 (H, W, C), drpn_weight (C, 3)."""
    ...  # return dp3, drpn_weight
''',
    outputs=("dp3", "drpn_weight"), reference=_join_reference, cases=_join_cases,
    hints=("Begin with the RPN: it is a product in each cell, so `dp3` begins as `drpn @ rpn_weight.T`.",
           "Then walk over the RoIs and *add* each gradient to the cell that was read.",
           "Of the four places where gradients stop, one is here: proposals' coordinates are constants. One of the arguments is not needed."))


# ---- how far a step goes ----


def _update_ratio_reference(before, after, part, num_parts):
    weights, changes = (np.bincount(part, values ** 2, num_parts) for values in (before, after - before))
    return np.sqrt(np.divide(changes, weights, out=np.zeros(num_parts), where=weights > 0))


def _update_ratio_cases():
    rng = np.random.default_rng(8)
    weights = rng.standard_normal(40)
    return [
        Case("one part: of weights (3, 4) one moves by 0.1", dict(before=_array(3, 4), after=_array(3, 4.1), part=np.array([0, 0]), num_parts=1),
             "the change has length 0.1, the weights have length 5 (Pythagoras: the root of 3*3 + 4*4)"),
        Case("downhill", dict(before=_array(10, 0), after=_array(9, 0), part=np.array([0, 0]), num_parts=1),
             "a length has no sign: 1 / 10"),
        Case("two parts, which do not lie side by side", dict(before=_array(1, 10, 1, 10), after=_array(2, 10, 2, 11), part=np.array([0, 1, 0, 1]), num_parts=2),
             "one ratio for each part, over all of its weights together; not the mean of the single weights' ratios"),
        Case("a weight of 0 that begins to move", dict(before=_array(0, 2), after=_array(1, 2), part=np.array([0, 0]), num_parts=1),
             "divide once, the lengths; a ratio for each weight would divide by 0"),
        Case("a part that stands still, and one without weights", dict(before=_array(1, 2), after=_array(1, 2), part=np.array([0, 0]), num_parts=2),
             "0 for both: no change, and nothing to change"),
        Case("40 weights, 4 parts", dict(before=weights, after=weights + 0.01 * rng.standard_normal(40), part=rng.integers(0, 4, 40), num_parts=4)),
    ]


UPDATE_RATIO = Exercise(
    name="update_ratio",
    statement="""The update-to-weight ratio of each part of a model: the length of the change that a step made, divided by the length of the weights before
the step. All weights come as one long vector; `part[i]` says to which part weight `i` belongs. A part whose weights are all 0, or that has none, gets 0.""",
    stub='''
def update_ratio(before, after, part, num_parts):
    """before and after (W,), part (W,) in 0..num_parts-1 -> ratios (num_parts,)."""
    ...
''',
    outputs=("ratios",), reference=_update_ratio_reference, cases=_update_ratio_cases,
    hints=("`before[part == 2]` are the weights of part 2; `np.linalg.norm` is a vector's length.",
           "Take care of a part whose length is 0 before you divide."))
