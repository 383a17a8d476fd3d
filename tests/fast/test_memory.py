"""Memory that one step has freed serves the next: the setting of the allocator, held against the system's own count.

Page faults are counted in a process that has asked for the setting, and in one that has not.
"""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from npmaskrcnn.fast.memory import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()
def step():
    arrays = [np.ones(1_000_000) for _ in range(12)]    # 96 MB, of pages of 4 kB or of 2 MB
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_arrays_of_the_second_step_need_no_new_pages():
    faults = {way: int(subprocess.run([sys.executable, "-c", PROGRAM, way], check=True, capture_output=True).stdout)
              for way in ("keep", "leave")}
    assert faults["keep"] < 10 < faults["leave"]
