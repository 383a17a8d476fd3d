"""Weight files: the package's own `.npz`, safetensors, and torch's two kinds of `.pth`, without torch.

Start reading at `state_file` (which container is it?), then `unpickler`, `tensors` and `torch_zip` for how
a `.pth` is laid out and `wrappers` for what else a checkpoint holds, `npz` and `safetensors` for two containers
that need no such care, `keys` and `architecture` for what names and shapes tell, `rebuild` and `model_files` for
`save`, `load` and `export`, and `new_heads` for a file's weights under one's own classes. `containers` and `zips`
are where suspicion lives, `arrays` is what all of them share.
"""

from .architecture import count_classes, infer_architecture
from .coco_names import COCO_NAMES
from .containers import sha256_prefix
from .keys import rename_old_keys
from .model_files import export, load, load_into, model_bytes, published_norm_eps, save
from .new_heads import CLASS_LAYERS, load_with_new_heads
from .npz import read_npz, write_npz
from .safetensors import write_safetensors
from .state_file import StateFile, read_state
