"""Make all stored reference outputs again: each ``make_*.py`` of this folder, in a process of its own.

Run: ``python tests/reference/make_all.py`` with torch, torchvision, pycocotools and safetensors installed.
"""

import subprocess
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    failed = []
    scripts = [path for path in sorted(Path(__file__).parent.glob("make_*.py")) if path.name != Path(__file__).name]
    for script in scripts:
        print(f"---- {script.name}", flush=True)
        start = time.perf_counter()
        if subprocess.run([sys.executable, script], check=False).returncode:
            failed.append(script.name)
        print(f"     {time.perf_counter() - start:.0f} s", flush=True)
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)
