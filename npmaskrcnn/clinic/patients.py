"""The patients of the clinic: what the owners complain of, what was found, in which order one would look, and the cure.

The findings are hints. Their numbers are not written here: each is a text with places for those of the stored runs,
`ill` and `well`, which are filled in when a patient is called. Where a hint names arrays of a trace, the numbers beside
them are of a trace of the picture by the patient's own weights, at the end of its training; the weights are not stored.
What the words around them say holds of those runs, each of which was made once; another seed has other numbers.
"""

from typing import NamedTuple

from ..datasets import ShapesDataset
from . import faults

CLASS_NAMES = list(ShapesDataset(1).class_names)
ONLY_IN_TRAINING = "learning rate", "second gradients", "mirrored masks"    # stages that a trace does not go through


class Case(NamedTuple):
    """One row of `PATIENTS`."""

    complaint: str      # of the owner, who does not know what it is
    fault: object       # makes the context in which the fault is planted
    stage: str          # of a step or a prediction, which is the first that differs from a healthy one
    diagnosis: str
    findings: tuple     # in the order in which one would look; with places for numbers of `ill` and `well`
    cure: str


PATIENTS = {
    "anna": Case(
        "Everything went through without a warning, and the losses fall. But it finds nothing, not even in the "
        "pictures that it learned from.",
        faults.boxes_as_yxyx, "told boxes",
        "Its boxes are (y1, x1, y2, x2): x and y are exchanged, so that each lies where its object would be in the "
        "picture mirrored at the diagonal.",
        ("Pictures first: {ill.readings[found]:.0f} objects at the end, the healthy one has "
         "{well.readings[found]:.0f}; box AP50 is {ill.ap[bbox_AP50]:.3f} against {well.ap[bbox_AP50]:.3f}. That is"
         " no training which needs a little longer.",
         "Curves: the objectness falls as it should; but the class loss stays at {ill.end[loss_classifier]:.2f} "
         "(healthy: {well.end[loss_classifier]:.2f}) and the mask loss at {ill.end[loss_mask]:.2f} "
         "({well.end[loss_mask]:.2f}). At the first step the mask loss is {ill.first[loss_mask]:.2f} already "
         "({well.first[loss_mask]:.2f}), while the others begin alike: what differs was there before anything was "
         "learned.",
         "Only what it is told is left. In its trace of the picture, hold `training.gt_boxes` against the extents of "
         "the masks: their mean IoU is {ill.readings[gt_iou]:.2f}, and it should be {well.readings[gt_iou]:.2f}. "
         "Which corner of the picture do they lie in?",
         "The test is one of the data, not of the model: draw `gt_boxes` over the image, for pictures that are not "
         "symmetric."),
        "Give boxes as (x1, y1, x2, y2). `Target` refuses or warns of most boxes that do not fit their masks; do "
        "not go around it."),
    "boris": Case(
        "The losses look like those of my colleague's training, which works. AP is nearly zero all the same.",
        faults.names_moved, "told labels",
        "The labels are shifted: each object was told to be of the next class. It has learned exactly what it was "
        "told.",
        ("Curves: nothing. The class loss ends at {ill.end[loss_classifier]:.2f} (healthy: "
         "{well.end[loss_classifier]:.2f}), the mask loss at {ill.end[loss_mask]:.2f} ({well.end[loss_mask]:.2f}).",
         "Pictures: it finds the objects, and where they are. Leaving classes aside, its boxes overlap the true "
         "ones by {ill.readings[box_iou]:.2f} (healthy: {well.readings[box_iou]:.2f}), its masks by "
         "{ill.readings[mask_iou]:.2f} ({well.readings[mask_iou]:.2f}). Now read the names.",
         "AP asks for the right place *and* the right name: box AP is {ill.ap[bbox_AP]:.3f} and was "
         "{well.ap[bbox_AP]:.3f}. Measured without names, it would be good: a table of which name stands on which "
         "object says the rest."),
        "Look at the list of class names and at where labels begin to count; draw some targets with their names "
        "before training."),
    "clara": Case(
        "I was in a hurry. It learned something at once, faster than any other, and then nothing more.",
        faults.rate_too_high, "learning rate",
        "The learning rate is too high, tenfold, and has neither warm-up nor decay.",
        ("Curves: how much of the body's weights a step changes. At step 30, where the healthy one changes most "
         "({well.log[update_ratio_body][3]:.3f}), it is {ill.log[update_ratio_body][3]:.3f} here, and it is more at "
         "every other. And it begins with its largest, {ill.first[update_ratio_body]:.2f}, where the healthy one "
         "begins with next to nothing.",
         "Losses: they do not explode. The objectness falls sooner than the healthy one's; but the class loss stays"
         " at {ill.end[loss_classifier]:.2f} ({well.end[loss_classifier]:.2f}), and the mask loss at "
         "{ill.end[loss_mask]:.2f} ({well.end[loss_mask]:.2f}).",
         "Gradients: their norm falls to {ill.end[grad_norm]:.1f} (healthy: {well.end[grad_norm]:.1f}). The weights"
         " have been pushed so far that the gradients have grown small; this is no calm of a training that is done.",
         "Nothing is found at the end ({ill.readings[found]:.0f} objects), box AP {ill.ap[bbox_AP]:.3f}. The column "
         "`learning_rate` of the log ends at {ill.end[learning_rate]:.3f}, where the healthy one's is "
         "{well.end[learning_rate]:.4f}."),
        "Try a tenth, with some steps of warm-up and a fall to zero at the end."),
    "david": Case(
        "For most of the time these were the best losses that I have ever had. And it is useless.",
        faults.only_sure_proposals, "proposals",
        "Proposals with an objectness below .7 are thrown away: a threshold that belongs to a later stage. Few pass, "
        "so that the heads see little else than the objects' own boxes, which are added to the proposals; and what is "
        "background they are hardly ever asked.",
        ("Curves: in the middle third of the training the class loss is {ill.middle[loss_classifier]:.2f} (healthy: "
         "{well.middle[loss_classifier]:.2f}), the box loss {ill.middle[loss_box_reg]:.2f} "
         "({well.middle[loss_box_reg]:.2f}). Who is that much better than a healthy training has an easier exam. At "
         "the end, when it gets harder, the class loss is {ill.end[loss_classifier]:.2f} "
         "({well.end[loss_classifier]:.2f}).",
         "AP disagrees: box AP {ill.ap[bbox_AP]:.3f} against {well.ap[bbox_AP]:.3f}, mask AP "
         "{ill.ap[segm_AP]:.3f} against {well.ap[segm_AP]:.3f}.",
         "So which questions was it asked? `training.rois` of its trace of the picture: the heads learn from "
         "{ill.readings[sampled_rois]:.0f} regions of the picture, {ill.readings[positive_rois]:.0f} of them objects; "
         "in the healthy one from {well.readings[sampled_rois]:.0f}, {well.readings[positive_rois]:.0f} of them "
         "objects.",
         "One stage before: `proposals` of the same trace has {ill.readings[proposals]:.0f} rows (healthy: "
         "{well.readings[proposals]:.0f}), with a best IoU of {ill.readings[proposal_iou]:.2f} "
         "({well.readings[proposal_iou]:.2f}). Look at the smallest of `proposal_scores`, in several pictures."),
        "Leave `rpn_score_thresh` at 0: proposals are ranked, not judged."),
    "emma": Case(
        "Boxes and names are right. The outlines are not, though their loss fell as it should.",
        faults.masks_of_the_class_before, "found masks",
        "The mask that is read is not of the object's class but of the channel before it. For squares that is the "
        "circles' channel, for triangles the squares': these draw what lies in the middle, if not as well. For circles "
        "it is the background's, which was taught nothing.",
        ("Curves: identical to the healthy ones, to the last digit ({ill.end[loss_mask]:.4f} and "
         "{well.end[loss_mask]:.4f} of the mask loss). The training is in order, so the fault comes after it.",
         "AP: boxes {ill.ap[bbox_AP]:.3f} ({well.ap[bbox_AP]:.3f}), masks {ill.ap[segm_AP]:.3f} "
         "({well.ap[segm_AP]:.3f}). Between the two stand two steps only: choosing a mask, and pasting it.",
         "Pictures: of each object the mask overlaps the true one by {ill.readings[mask_iou]:.2f} "
         "({well.readings[mask_iou]:.2f}). Pasting would shift or stretch it; do these look shifted? Square and "
         "triangle are nearly right, and the circles fill their boxes. What is special about the circles' label?",
         "`mask_logits` of a trace is (D, 28, 28, K): draw all K of one detection (`plots.class_masks`), and see which "
         "of them was taken. The same weights in healthy hands have mask AP {ill.readings[outside_segm_AP]:.3f}."),
        "Index masks with the label itself: background has a mask of its own, number 0, which nobody uses."),
    "felix": Case(
        "Training went perfectly. It finds most objects, and the boxes are all over the place.",
        faults.deltas_without_weights, "found boxes",
        "The box head's deltas are learned with the weights (10, 10, 5, 5) and applied without them: every "
        "correction is five to ten times as large as it should be.",
        ("Curves: identical to the healthy ones ({ill.end[loss_box_reg]:.4f} and {well.end[loss_box_reg]:.4f} of "
         "the box loss). So look behind the training.",
         "AP: box AP {ill.ap[bbox_AP]:.3f} ({well.ap[bbox_AP]:.3f}), mask AP {ill.ap[segm_AP]:.3f} "
         "({well.ap[segm_AP]:.3f}). Masks are cut inside of boxes, and what is wrong before them is wrong in both.",
         "Stage by stage: the proposals of the picture are as good as they should be (best IoU "
         "{ill.readings[proposal_iou]:.2f}, healthy {well.readings[proposal_iou]:.2f}), the boxes that come out of "
         "the next stage are not ({ill.readings[box_iou]:.2f}, healthy {well.readings[box_iou]:.2f}).",
         "A refinement that makes boxes worse: encode a box against a proposal, decode what comes out, and "
         "compare. Is it the box again?"),
        "Encode and decode with the same numbers, `config.bbox_reg_weights`; the test is decode(encode(box)) == "
        "box."),
    "greta": Case(
        "It works, more or less. But it is clearly worse than it should be, and I cannot see where it loses.",
        faults.gradients_pile_up, "second gradients",
        "Gradients are never set to zero: `zero_grad` is missing, so that each step's are added to what is left of "
        "those before, of which clipping takes about a seventh away every step. A step goes along a mean over the last "
        "ten or twenty batches, always at full length, and its own batch is the smaller part of it.",
        ("AP: boxes {ill.ap[bbox_AP]:.3f} ({well.ap[bbox_AP]:.3f}), masks {ill.ap[segm_AP]:.3f} "
         "({well.ap[segm_AP]:.3f}). All classes lose (box AP of circles {ill.readings[AP_circle]:.2f} and "
         "{well.readings[AP_circle]:.2f}, of squares "
         "{ill.readings[AP_square]:.2f} and {well.readings[AP_square]:.2f}, of triangles "
         "{ill.readings[AP_triangle]:.2f} and {well.readings[AP_triangle]:.2f}), but nothing is odd.",
         "Losses: a little above the healthy ones, all but the objectness (class {ill.end[loss_classifier]:.2f} "
         "and {well.end[loss_classifier]:.2f}, box {ill.end[loss_box_reg]:.2f} and {well.end[loss_box_reg]:.2f}).",
         "Gradients: the norm of the healthy one goes up and down and ends at {well.end[grad_norm]:.1f}. This one's is "
         "{ill.end[grad_norm]:.1f}, and hardly moves from step 10 to the end: it stays near 10, the length "
         "to which every step clips it, with what the next batch adds.",
         "At step 1 both norms are equal ({ill.first[grad_norm]:.2f} and {well.first[grad_norm]:.2f}). Test: call "
         "`loss_and_grads` twice with the same images and the same seed. Are the gradients of the second call the "
         "same?"),
        "Set gradients to zero before each step (`model.zero_grad()`, which `loss_and_grads` does by itself)."),
    "hugo": Case(
        "Measured by its boxes it is nearly as good as others. But outlines are ragged, or miss half of their object, "
        "however long I train, and that loss stays high.",
        faults.masks_not_mirrored, "mirrored masks",
        "When an image is mirrored (half of them are), its boxes go with it, and its masks do not: the flip forgets"
        " them.",
        ("AP: boxes {ill.ap[bbox_AP]:.3f} ({well.ap[bbox_AP]:.3f}), masks {ill.ap[segm_AP]:.3f} "
         "({well.ap[segm_AP]:.3f}). It is about masks, even if a box in the picture is off, too.",
         "Curves: the mask loss ends at {ill.end[loss_mask]:.2f}, not far below the .69 of who knows nothing; the "
         "healthy one at {well.end[loss_mask]:.2f}. Unlike a fault after the training, this one is seen by the "
         "loss.",
         "At step 1, before anything was learned, the mask loss is {ill.first[loss_mask]:.2f} "
         "({well.first[loss_mask]:.2f}) and all other losses are equal. So what the masks are asked for is another "
         "thing.",
         "A trace shows nothing: its `mask_targets` are right. What is between the dataset and the "
         "model in training only? Draw a few items as the trainer shows them, more than one, with their masks."),
        "Mirror image, boxes and masks together; test that a mirrored target's boxes are the extents of its masks."),
    "iris": Case(
        "It never finds a circle. And what it calls a circle is a square.",
        faults.labels_from_zero, "told labels",
        "Its labels begin with 0, which is the background: to the model circles are background, squares class 1, "
        "triangles class 2.",
        ("Pictures: two of {well.readings[found]:.0f} objects are found at the end, and a third detection, hardly "
         "sure, lies on a part of another and much beside it. What do the two that are missing have in common? And the "
         "names of those that are found are wrong.",
         "AP of boxes, class by class: circle {ill.readings[AP_circle]:.3f} ({well.readings[AP_circle]:.3f}), square "
         "{ill.readings[AP_square]:.3f} ({well.readings[AP_square]:.3f}), triangle {ill.readings[AP_triangle]:.3f} "
         "({well.readings[AP_triangle]:.3f}).",
         "Curves: class and box loss are lower than the healthy ones ({ill.end[loss_classifier]:.2f} and "
         "{well.end[loss_classifier]:.2f}; {ill.end[loss_box_reg]:.2f} and {well.end[loss_box_reg]:.2f}): there is "
         "one class less to tell, and fewer boxes to refine.",
         "`training` of a trace: `gt_labels`, and beside it `roi_labels`, where 0 has a meaning of its "
         "own. What is the smallest label that an object can have?"),
        "Count classes from 1. `Target` refuses label 0; do not go around it."),
    "jonas": Case(
        "It finds some objects well and others not at all, in the same picture.",
        faults.anchors_off, "anchors",
        "All anchors lie half an image too far to the right and down, so that what lies above or to the left is "
        "reached by large anchors at best.",
        ("Pictures: {ill.readings[found]:.0f} of {well.readings[found]:.0f} objects are found, and both that are "
         "missing are circles. In other pictures it is no question of class: box AP is {ill.readings[AP_circle]:.2f} "
         "of circles, {ill.readings[AP_square]:.2f} of squares, {ill.readings[AP_triangle]:.2f} of triangles. These "
         "two are also the smallest, and the farthest to the left. Size, or *where* they are? One picture cannot tell.",
         "Curves: the RPN's box loss is {ill.end[loss_rpn_box_reg]:.3f} (healthy: "
         "{well.end[loss_rpn_box_reg]:.3f}), twice the healthy one's, as it was at step 1 already "
         "({ill.first[loss_rpn_box_reg]:.3f} and {well.first[loss_rpn_box_reg]:.3f}). The heads' class and box losses "
         "are lower: they get fewer objects to see.",
         "Its trace of the picture: the best proposals of the objects have a mean IoU of "
         "{ill.readings[proposal_iou]:.2f} "
         "({well.readings[proposal_iou]:.2f}); only {ill.readings[positive_rois]:.0f} of "
         "{ill.readings[sampled_rois]:.0f} regions are objects ({well.readings[positive_rois]:.0f}). It is the RPN,"
         " or what it stands on.",
         "Draw `anchors` of a trace, of one level, over the image, or take the least and the largest of their centers. "
         "They should begin at 0 and end one stride before the image's side (at 124 of 128 on the finest level)."),
        "Anchors begin at the image's corner: position times stride, and nothing added."),
}
