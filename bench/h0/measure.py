"""Runs a command and prints its seconds, its peak MiB and the size of a file that it makes, for bench.py:

    measure.py cpu|wall FILE COMMAND..."""
import os
import sys
import time

clock, made, *command = sys.argv[1:]
started = time.monotonic()
pid = os.posix_spawnp(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
_, status, usage = os.wait4(pid, 0)
wall = time.monotonic() - started
if status:
    sys.exit(f"measure: failed: {' '.join(command)}")
seconds = wall if clock == "wall" else usage.ru_utime + usage.ru_stime
print(f"{seconds:.4f} {usage.ru_maxrss // 1024} {os.path.getsize(made)}")
