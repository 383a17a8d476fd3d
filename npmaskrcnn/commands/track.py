"""``npmaskrcnn track``: follow the objects of a film from frame to frame.

SOURCE is a folder of frames, taken in the order of their names (2 before 10), or a file with several pictures, such as
an animated GIF or a TIFF with pages, or the word shapes: then a film of toy shapes is drawn, whose objects are known,
and it is counted how often one gets another number. All frames must have one size.

It writes a film, ``tracks.gif``, in which every object has one color and one number, and a table, ``tracks.csv``, with
frame, track, label, score and box of each. After Ctrl-C they hold the frames that were done.

example: npmaskrcnn track shapes --frames 60 --seed 1
"""

import csv
import io
import itertools
import os
import re

import numpy as np
from PIL import Image

from ..datasets import ShapesFilm
from ..errors import InputError
from ..evaluation import measure_tracks
from ..files import atomic_writer, make_folder
from ..images import read_image, read_pictures
from ..interrupt import uninterrupted
from ..judge import judge_fraction, judge_number, judge_white
from ..progress import ProgressLine
from ..structures import Detections
from ..tracking import Tracker
from ..training.options import judge_classes
from ..words import count, printable
from .common import add_model, add_out, add_overwrite, add_white, judge_writing, the_model

SHAPES = "shapes"
FILM_FILE, TABLE_FILE = "tracks.gif", "tracks.csv"
BATCH = 4                   # frames that are looked at together
MOST_LINES = 20             # of the list of tracks
OF_SHAPES = {"frames": 60, "objects": 4, "seed": 0}


def add_arguments(parser):
    """Say what can be typed."""
    parser.add_argument("source", metavar="SOURCE", help="folder of frames, file of several pictures, or: shapes")
    add_model(parser)
    parser.add_argument("--score-threshold", type=float, default=0.5, metavar="S",
                        help="follow detections with a higher score than this (default: %(default)s)")
    parser.add_argument("--birth-score", type=float, default=0.8, metavar="S",
                        help="and begin a new track with one above this only (default: %(default)s)")
    parser.add_argument("--min-iou", type=float, default=0.1, metavar="T",
                        help="masks of two frames that overlap less are not of one object (default: %(default)s)")
    parser.add_argument("--patience", type=int, default=10, metavar="N",
                        help="frames that an object may be hidden and keep its number (default: %(default)s)")
    parser.add_argument("--fps", type=float, default=10, metavar="F",
                        help="frames a second of the film that is written (default: %(default)s)")
    add_white(parser)
    for name, default in OF_SHAPES.items():
        parser.add_argument(f"--{name}", type=int, metavar="N", help=f"of the film of shapes (default: {default})")
    add_out(parser, "npmaskrcnn-tracks")
    add_overwrite(parser)


def run(options):
    """Judge all frames, follow, write; a few frames at a time are in memory."""
    judge_fraction(options.score_threshold, "--score-threshold")
    judge_number(options.fps, "--fps", 0.1, 50)
    judge_white(options.white, "--white")
    tracker = Tracker(options.min_iou, options.birth_score, options.patience)
    film, read_frames, sources = _film_of_shapes(options), lambda: _picture_frames(options), _files(options.source)
    if film is not None:
        read_frames, sources = lambda: (film[i][0] for i in range(len(film))), []
    num_frames = _judge_frames(read_frames(), options.source) if film is None else len(film)
    model = the_model(options)
    if film is not None:
        judge_classes(model, film, "a film of shapes")
    folder = make_folder(options.out, "--out")
    judge_writing(folder, (FILM_FILE, TABLE_FILE), sources, options.overwrite)
    try:
        _follow(model, tracker, read_frames(), num_frames, options)
    finally:                                # Ctrl-C, a full disk: what is done is not lost
        if tracker.num_frames:
            with uninterrupted() as interrupted:        # table and film belong together
                _report(tracker, film, folder, read_frames(), model, options.fps, interrupted)


def _follow(model, tracker, frames, num_frames, options):
    """Hand the detections of one frame after the other to the tracker."""
    progress = ProgressLine("following", num_frames)
    progress.update(0)
    while images := list(itertools.islice(frames, BATCH)):
        for found in model.predict(images, options.score_threshold, paste_all=False):
            masks = found.masks
            if masks is not None:           # a probability takes four times as much
                masks = np.array([mask > 0.5 for mask in masks], bool).reshape(masks.shape)
            with uninterrupted():           # a frame is in the table whole or not at all
                tracker.update(Detections(found.boxes, found.labels, found.scores, masks))
        progress.update(tracker.num_frames)


def _report(tracker, film, folder, frames, model, fps, interrupted):
    """Say who was where, and write table and film."""
    tracks, done = tracker.tracks(), tracker.num_frames
    names = model.class_names or [f"class {i}" for i in range(model.num_classes)]
    _write_table(folder / TABLE_FILE, tracks, names)
    numbers = np.unique(tracks.numbers)
    print(f"{count(len(numbers), 'track')} in {count(done, 'frame')}")
    for number in numbers[:MOST_LINES]:
        rows = np.flatnonzero(tracks.numbers == number)
        print(f"{number:>5}  {printable(names[tracks.labels[rows[0]]], 40):<12} seen in {len(rows)} of the frames "
              f"{tracks.frames[rows[0]]} to {tracks.frames[rows[-1]]}")
    if len(numbers) > MOST_LINES:
        print(f"... and {len(numbers) - MOST_LINES} more")
    if film is not None:
        figures = measure_tracks(tracks, [film.target(i) for i in range(done)], film.identities[:done])
        print(f"{count(figures.switches, 'identity switch')}; of {count(figures.num_objects, 'object')} in all frames "
              f"{figures.misses} missed, {figures.false_alarms} false alarms; "
              f"MOTA (1 minus all these errors per object) {figures.MOTA:.3f}")
    num_drawn = _draw(folder / FILM_FILE, tracks, itertools.islice(frames, done), done, fps, interrupted)
    less = f" (its first {count(num_drawn, 'frame')})" if num_drawn < done else ""
    print(f"wrote {folder / FILM_FILE}{less} and {folder / TABLE_FILE}")


def _draw(path, tracks, frames, num_frames, fps, interrupted):
    """Write the film, as far as it gets before something is in `interrupted`; return how many frames it has."""
    from ..plots.film import film_frame, write_film

    progress, num_drawn = ProgressLine("drawing", num_frames), 0

    def drawn():
        nonlocal num_drawn
        for image in frames:
            progress.update(num_drawn)
            yield film_frame(image, tracks[tracks.frames == num_drawn])
            num_drawn += 1
            if interrupted:
                break
        progress.update(num_drawn)

    write_film(path, drawn(), fps)
    return num_drawn


def _write_table(path, tracks, names):
    """Write the table: a line for every object in every frame."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["frame", "track", "label", "score", "x1", "y1", "x2", "y2"])
    for row in zip(tracks.frames, tracks.numbers, tracks.labels, tracks.scores, tracks.boxes):
        frame, number, label, score, box = row
        table.writerow([frame, number, names[label], f"{score:.4f}", *(f"{side:.2f}" for side in box)])
    with atomic_writer(path) as file:
        file.write(text.getvalue().encode())


# ---- where frames come from ----

def _film_of_shapes(options):
    """Return the film of shapes that is asked for, or None if a folder or a file is."""
    given = {name: getattr(options, name) for name in OF_SHAPES if getattr(options, name) is not None}
    if options.source != SHAPES:
        for name in given:
            raise InputError(f"--{name} goes with the film of shapes only: npmaskrcnn track {SHAPES}")
        return None
    if options.white is not None:
        raise InputError("--white goes with pictures: in the film of shapes it is known what is white")
    judge_number(options.frames, "--frames", 1, 100_000, whole=True, optional=True)
    judge_number(options.objects, "--objects", 0, 100, whole=True, optional=True)
    judge_number(options.seed, "--seed", 0, whole=True, optional=True)
    wanted = {**OF_SHAPES, **given}
    return ShapesFilm(wanted["frames"], wanted["objects"], seed=wanted["seed"])


def _files(source):
    """The files that frames are read from, which must not be replaced."""
    return _in_natural_order(source) if os.path.isdir(source) else [source]


def _picture_frames(options):
    """Yield the frames of a folder or a file."""
    if not os.path.isdir(options.source):
        yield from read_pictures(options.source, options.white)
        return
    for path in _in_natural_order(options.source):
        yield read_image(path, options.white)


def _in_natural_order(folder):
    """Return the paths of the pictures in a folder, numbers in their names as numbers: 2 before 10."""
    known = Image.registered_extensions()
    names = [entry.name for entry in os.scandir(folder) if entry.is_file() and not entry.name.startswith(".")
             and os.path.splitext(entry.name)[1].lower() in known]
    # Between texts are numbers, at every second place: texts meet texts and numbers numbers.
    names.sort(key=lambda name: ([int(part) if part.isdigit() else part.casefold()
                                  for part in re.split("([0-9]+)", name)], name))
    return [os.path.join(folder, name) for name in names]


def _judge_frames(frames, source):
    """Look at all frames, and return how many they are; `InputError` if there is none, or not all have one size."""
    number, size = 0, None
    for number, image in enumerate(frames, start=1):
        size = size or image.shape[:2]
        if image.shape[:2] != size:
            raise InputError(f"{source}: frame {number - 1} has {image.shape[1]} x {image.shape[0]} pixels, those "
                             f"before {size[1]} x {size[0]}; all frames of a film must have one size")
    if not number:
        raise InputError(f"{source}: holds no picture; expected frames, such as 1.png, 2.png, ...")
    return number
