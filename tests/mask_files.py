"""Folders of pictures with a file for every mask, as laboratories have them, made of drawn cells."""

import numpy as np
from PIL import Image

WHITE = np.uint8(255)


def write_mask_folders(dataset, folder, mode="RGBA", dim=1, white=WHITE):
    """Write drawn cells in the layout of BBBC038, pictures `dim` times as bright, in the order of their names."""
    for i in range(len(dataset)):
        image, target = dataset[i]
        place = folder / f"{'cab'[i % 3]}{i:03d}"
        (place / "images").mkdir(parents=True)
        (place / "masks").mkdir()
        Image.fromarray((image * dim).astype(np.uint8)).convert(mode).save(place / "images" / f"{place.name}.png")
        for k, mask in enumerate(target.masks):
            Image.fromarray(white * mask).save(place / "masks" / f"{k:03d}.png")
