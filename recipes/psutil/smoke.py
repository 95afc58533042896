"""psutil's answers about this process against those of the standard library; most come from its C extension."""

from __future__ import annotations

import json
import os
import resource
import socket
from pathlib import Path

import psutil

process = psutil.Process()
assert process.pid == os.getpid()
assert set(process.cpu_affinity()) == os.sched_getaffinity(0)
assert process.nice() == os.getpriority(os.PRIO_PROCESS, 0)
assert process.rlimit(psutil.RLIMIT_NOFILE) == resource.getrlimit(resource.RLIMIT_NOFILE)
assert process.memory_info().rss > 1_000_000
usage, given = psutil.disk_usage("/"), os.statvfs("/")
assert usage.total == given.f_blocks * given.f_frsize
loopback = psutil.net_if_addrs()["lo"]
assert "127.0.0.1" in [each.address for each in loopback if each.family == socket.AF_INET]
Path(os.environ["FACTORY_RESULT"]).write_text(
    json.dumps(
        {
            "shown": f"psutil {psutil.__version__}: affinity, limits, disk, addresses",
            "facts": {},
            "tokens": [],
            "logits": [],
        }
    )
)
