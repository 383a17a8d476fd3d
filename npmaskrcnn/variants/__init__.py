"""What is each part worth? The tiny model with one part exchanged for what people used before, or without it.

`parts` holds the parts: poolers that round, mask heads whose classes compete or that are fully connected, necks
without a pyramid. `table` says which variant exchanges what, and what the papers say that it costs; `maskrcnn_variant`
builds one. A variant trains, predicts, saves and loads as any model does. What they are worth on toy shapes is measured
by ``notebooks/scripts/parts.py``.
"""

from .table import VARIANTS, Variant, maskrcnn_variant
