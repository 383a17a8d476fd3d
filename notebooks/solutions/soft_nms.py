"""Like non-maximum suppression, but what overlaps the best box loses score, not its life."""


def soft_nms(boxes, scores, iou_threshold):
    new_scores, waiting = scores.copy(), list(range(len(boxes)))
    while waiting:
        best = max(waiting, key=lambda i: new_scores[i])
        waiting.remove(best)
        for i in waiting:
            overlap = _iou(boxes[best], boxes[i])
            if overlap > iou_threshold:
                new_scores[i] *= 1 - overlap
    return new_scores


def _iou(a, b):
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union
