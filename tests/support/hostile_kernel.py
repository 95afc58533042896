"""Attacks of a build on what no namespace separates: the kernel's keys and rings, open files, and relays of the host.

The code runs with the names of `tests.support.hostile_attacks`, under QEMU; `native(code)` also runs it with the root's
native Python, whose system calls QEMU does not see.
"""

from __future__ import annotations

KERNEL = {
    "keyrings": """
        calls = '''
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        first = 217 if os.uname().machine == "riscv64" else 248
        add, request, control = first, first + 1, first + 2
        for ring in (-1, -2, -3, -4, -5):
            if libc.syscall(add, b"user", b"planted", b"x", 1, ring) > 0:
                print("ESC" + "APED: added a key to the keyring", ring, flush=True)
            if libc.syscall(control, 0, ring, 0) > 0:
                print("ESC" + "APED: found the keyring", ring, flush=True)
            if libc.syscall(request, b"user", b"hostile-secret", None, ring) > 0:
                print("ESC" + "APED: got a key by its name", ring, flush=True)
        if libc.syscall(control, 1, None) > 0:
            print("ESC" + "APED: joined a keyring", flush=True)
        '''
        for run in (under_qemu, native):
            run(calls)
        attempt_quietly(lambda: open("/proc/keys").read() and escaped("read /proc/keys"))
    """,
    "io-uring": """
        calls = '''
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        for number, arguments in ((425, (4, bytes(200))), (426, (0, 1, 0, 0, 0, 0)), (427, (0, 0, 0, 0))):
            result = libc.syscall(number, *arguments)
            if result >= 0 or ctypes.get_errno() not in (1, 38):
                print("ESC" + "APED: io_uring answers", number, result, ctypes.get_errno(), flush=True)
        '''
        for run in (under_qemu, native):
            run(calls)
    """,
    "kernel-programs": """
        calls = '''
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        generic = os.uname().machine == "riscv64"
        numbers = {"bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282)}
        for name, (number, other) in {**numbers, "open_by_handle_at": (304, 265)}.items():
            result = libc.syscall(other if generic else number, 0, bytes(128), 128, -1, 0)
            if result >= 0 or ctypes.get_errno() not in (1, 38):
                print("ESC" + "APED:", name, "answers", result, ctypes.get_errno(), flush=True)
        # The same kernel's calls by another table.
        if not generic and libc.syscall(0x40000000 + 425, 4, bytes(200)) >= 0:
            print("ESC" + "APED: calls with 32-bit pointers", flush=True)
        '''
        for run in (under_qemu, native):
            run(calls)
    """,
    "sockets-to-the-hypervisor": """
        calls = '''
        import socket
        for family in range(64):
            for kind in (1, 2, 3, 5):
                try:
                    socket.socket(family, kind).close()
                except OSError:
                    continue
                if family not in (1, 2, 10, 16):
                    print("ESC" + "APED: a socket of the family", family, flush=True)
        '''
        for run in (under_qemu, native):
            run(calls)
    """,
    "inherited-files": """
        calls = '''
        import os
        for number in range(3, 4096):
            try:
                name = os.readlink(f"/proc/self/fd/{number}")
            except OSError:
                continue
            try:
                os.fstat(number)
            except OSError:
                continue
            print("ESC" + "APED: an open file", number, name, flush=True)
        for number in range(3):
            name = os.readlink(f"/proc/self/fd/{number}")
            if not name.startswith(("pipe:", "/dev/null")):
                print("ESC" + "APED: an open file", number, name, flush=True)
        '''
        for run in (under_qemu, native):
            run(calls)
        for path in glob.glob("/proc/[0-9]*/fd/*"):
            attempt_quietly(lambda: "memfd:" in os.readlink(path) and escaped("sees " + os.readlink(path)))
    """,
    "memory-hog": """
        held = []
        for number in range(24):
            held.append(b"x" * (256 << 20))
            if number > 16:
                escaped("has memory beyond the limit")
    """,
    "memory-hogs": """
        hog = '''
        import os, time
        held = []
        for number in range(48):
            held.append(b"x" * (32 << 20))
            time.sleep(0.1)
        open(f"/build/fed-{os.getpid()}", "w").close()
        time.sleep(60)
        '''
        command = [sys.executable, "-c", textwrap.dedent(hog)]
        hogs = [subprocess.Popen(command, start_new_session=True) for _ in range(6)]
        for _ in range(40):
            time.sleep(1)
            fed = sum(each.poll() is None and os.path.exists(f"/build/fed-{each.pid}") for each in hogs)
            if fed > 2:
                escaped("several have 1.5 GB each")
            if fed + sum(each.poll() is not None for each in hogs) == len(hogs):
                break
        raise SystemExit("the hogs have ended, or are fed")
    """,
    "relay-flood": """
        if not os.path.exists(RELAY):
            print("no relay of ccache's remote storage in this root", flush=True)
        held = []
        for _ in range(3000):
            each = socket.socket(socket.AF_UNIX)
            each.settimeout(1)
            try:
                each.connect(RELAY)
                each.send(b"GET / HTTP/1.1\\r\\n\\r\\n")
            except OSError:
                break
            held.append(each)
        # A relay is no proxy.
        for _ in range(3):
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as each:
                each.settimeout(1)
                each.connect(RELAY)
                each.send(f"CONNECT 127.0.0.1:{PORT} HTTP/1.1\\r\\n\\r\\n".encode())
                each.recv(100)
        time.sleep(2)
        write(RELAY)
        attempt("remove the relay", lambda: os.unlink(RELAY))
    """,
}
# Left by a build that fails; `factory cache` meets it.
CACHE = {
    "cache-of-links": """
        for folder in ("/build/src", "/build", "/ccache"):
            os.makedirs(folder, exist_ok=True)
            for name, target in (("secret", OUTSIDE + "/secret"), ("drop", OUTSIDE + "/drop"), ("root", "/")):
                replace_by_link(folder + "/link-" + name, target)
            attempt_quietly(lambda: os.mkfifo(folder + "/fifo"))
            attempt_quietly(lambda: socket.socket(socket.AF_UNIX).bind(folder + "/socket"))
            attempt_quietly(lambda: os.symlink("loop", folder + "/loop"))
        raise SystemExit("planted")
    """,
    "cache-of-setuid": """
        for folder in ("/build/src", "/ccache"):
            os.makedirs(folder, exist_ok=True)
            pathlib.Path(folder, "setuid").write_text("#!/bin/sh\\nid\\n")
            os.chmod(folder + "/setuid", 0o6777)
            os.makedirs(folder + "/setgid", exist_ok=True)
            os.chmod(folder + "/setgid", 0o7777)
            for name in ("again", "hard-links.tmp", "again-2"):
                attempt_quietly(lambda: os.link(folder + "/setuid", folder + "/" + name))
        raise SystemExit("planted")
    """,
    "cache-of-odd-names": """
        for folder in (b"/build/src/", b"/ccache/"):
            os.makedirs(folder, exist_ok=True)
            odd = (b"new\\nline", b"\\xff\\xfe", b"-rf", b"$(touch x)", b"..\\n", b"\\x1b[2J", b"::error::", b"n" * 255)
            for name in odd:
                pathlib.Path(os.fsdecode(folder + name)).write_text("x")
                os.makedirs(folder + b"folder" + name[:200] + b"/" + name, exist_ok=True)
        raise SystemExit("planted")
    """,
    "cache-of-many-folders": """
        for folder in ("/build/src", "/ccache"):
            os.makedirs(folder, exist_ok=True)
            nest(folder, "d", 1800)
        raise SystemExit("planted")
    """,
    "cache-of-long-paths": """
        for folder in ("/build/src", "/ccache"):
            os.makedirs(folder, exist_ok=True)
            nest(folder, "d" * 200, 1200)
            pathlib.Path("file").write_text("x")
        raise SystemExit("planted")
    """,
    "cache-of-holes": """
        for folder in ("/build/src", "/ccache"):
            os.makedirs(folder, exist_ok=True)
            with open(folder + "/holes", "wb") as file:
                file.truncate(60 << 30)
        raise SystemExit("planted")
    """,
    "cache-without-rights": """
        for folder in ("/build/src", "/ccache"):
            os.makedirs(folder + "/closed/inner", exist_ok=True)
            pathlib.Path(folder, "closed/file").write_text("x")
            os.chmod(folder + "/closed/file", 0)
            os.chmod(folder + "/closed/inner", 0)
            os.chmod(folder + "/closed", 0)
        raise SystemExit("planted")
    """,
}
