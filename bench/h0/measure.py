"""Runs a command and prints its seconds and its peak MiB, for bench.py:  measure.py cpu|wall COMMAND..."""
import os
import sys
import time

clock, *command = sys.argv[1:]
started = time.monotonic()
pid = os.posix_spawnp(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
_, status, usage = os.wait4(pid, 0)
wall = time.monotonic() - started
if status:
    sys.exit(f"measure: failed: {' '.join(command)}")
seconds = wall if clock == "wall" else usage.ru_utime + usage.ru_stime
print(f"{seconds:.4f} {usage.ru_maxrss // 1024}")
