"""Scripts of the repository, loaded to be tested; where the package stands without them, their tests are left out."""

import importlib.util
import sys
from pathlib import Path

import pytest

import npmaskrcnn

ROOT = Path(npmaskrcnn.__file__).resolve().parent.parent


def script(path, monkeypatch=None):
    """Return the module of a script, such as "notebooks/scripts/parts.py"; its neighbors can be imported, too.

    With `monkeypatch` only as long as the test runs.
    """
    path = ROOT / path
    if not path.exists():
        pytest.skip("not a checkout of the repository, where the script is", allow_module_level=True)
    neighbors = str(path.parent)            # as Python does for a script that is run
    if monkeypatch is None:
        sys.path.insert(0, neighbors)
    else:
        monkeypatch.syspath_prepend(neighbors)
    spec = importlib.util.spec_from_file_location(f"{path.stem}_script", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
