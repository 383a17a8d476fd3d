"""The benchmarks compare with torchvision; without it they say in one line what to install."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.mark.parametrize("script", ["bench_tiny.py", "bench_resnet50.py", "bench_ops.py"])
def test_without_torch_a_benchmark_says_what_to_install(tmp_path, script):
    (tmp_path / "torch.py").write_text("raise ImportError(\"No module named 'torch'\")")
    result = subprocess.run([sys.executable, str(BENCHMARKS / script)], capture_output=True, text=True,
                            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(BENCHMARKS.parent)])})
    assert result.returncode == 1 and len(result.stderr.splitlines()) == 1
    assert "pip install torch torchvision" in result.stderr
