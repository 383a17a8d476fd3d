"""From matches to a curve, and from the curve to one number: average precision.

Put the detections of *all* images into one list, best score first, and walk down it. After each one ask:
how many of those so far are right (**precision**), and how many of all objects have been found (**recall**)?
Recall only grows; precision goes up and down in a sawtooth. COCO smooths the teeth: the precision at a
recall is the best precision at this recall *or a greater one*, because a user who wants to find that much may
as well take the better point. The average of this over 101 recalls, 0, .01, ... 1, is the average precision.
Recalls that are never reached count as precision 0.

Average precision belongs to one class, one overlap threshold and the whole data set; it is no mean over
images.
"""

import numpy as np

RECALL_POINTS = np.linspace(0.0, 1.0, 101)


def pool_images(matches, t, max_detections):
    """Put the detections of all images that count into one list, best score first.

    Parameters
    ----------
    matches : list of ImageMatches
        One class, one area range, every image.
    t : int
        Index of the overlap threshold.
    max_detections : int
        Of each image only so many detections are looked at, the best ones.

    Returns
    -------
    scores : (D,) float ndarray
        Descending; equal scores stay in the order of the images.
    is_true_positive : (D,) bool ndarray
    """
    counts = ~np.concatenate([image.is_ignored[t, :max_detections] for image in matches])
    scores = np.concatenate([image.scores[:max_detections] for image in matches])[counts]
    is_true_positive = np.concatenate([image.is_true_positive[t, :max_detections] for image in matches])[counts]
    order = np.argsort(-scores, kind="stable")
    return scores[order], is_true_positive[order]


def precision_recall_curve(is_true_positive, num_ground_truth):
    """Precision and recall after each detection.

    Parameters
    ----------
    is_true_positive : (D,) bool ndarray
        Best score first.
    num_ground_truth : int
        Objects that could have been found, at least 1.

    Returns
    -------
    precision, recall : (D,) float64 ndarrays

    Examples
    --------
    >>> precision, recall = precision_recall_curve(np.array([True, False, True]), num_ground_truth=4)
    >>> precision.round(2), recall
    (array([1.  , 0.5 , 0.67]), array([0.25, 0.25, 0.5 ]))
    """
    num_right = np.cumsum(is_true_positive)
    num_so_far = np.arange(1, len(is_true_positive) + 1)
    return num_right / num_so_far, num_right / num_ground_truth


def interpolate_precision(precision, recall, recall_points=RECALL_POINTS):
    """The best precision at each recall or a greater one.

    Parameters
    ----------
    precision, recall : (D,) float64 ndarrays
        `recall` ascending.
    recall_points : (R,) float64 ndarray

    Returns
    -------
    interpolated : (R,) float64 ndarray
        0 at recalls that the curve never reaches. Its mean is the average precision.

    Examples
    --------
    >>> precision, recall = np.array([1, 1/2, 2/3]), np.array([.25, .25, .5])
    >>> interpolate_precision(precision, recall, recall_points=np.array([0, .25, .5, .75, 1]))
    array([1.        , 1.        , 0.66666667, 0.        , 0.        ])
    """
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    first_that_reaches = np.searchsorted(recall, recall_points, side="left")
    return np.append(best_from_here, 0.0)[first_that_reaches]            # beyond the end: the appended 0
