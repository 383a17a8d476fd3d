"""The stages of Mask R-CNN, one file each, in the order in which data flows.

transform -> resnet -> fpn -> anchors -> rpn -> roi_pooler -> box_head -> mask_head -> paste; and
matching, which decides in training who learns from which ground truth.
"""
