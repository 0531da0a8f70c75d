"""A room of its own for one learner: starts a command so that it reaches nothing of the others'.

    booth.py '{"name": "ada", "uid": 66000, "home": "/…", …}' COMMAND …

Linux, as root. The command runs as a user that the machine doesn't know, without root's rights and without a way to get
them (`no_new_privs`), in namespaces of its own: it sees its own processes, its own /tmp and /dev/shm, its own folder and
no other learner's, and a network that has nothing but 127.0.0.1. There the labs' servers listen without a password, and
nobody else reaches them. Two gates lead through that wall: from the hub to the learner's JupyterLab (`port`), and from
there to the ports in `gates`. Memory and processor are limited by a control group.

Standard library only, for it is started before anything of the course can be seen. When it ends, however it ends, all
that was started in the booth ends with it.
"""

import asyncio
import ctypes
import fcntl
import json
import os
import resource
import signal
import socket
import stat
import struct
import sys
from pathlib import Path

# of <sched.h>, <sys/mount.h> and <sys/prctl.h>
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET = (
    0x20000, 0x4000000, 0x8000000, 0x20000000, 0x40000000,
)  # fmt: skip
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
CGROUPS = Path("/sys/fs/cgroup")
PROCESSES = 2_000  # and threads; a program that starts itself without end stops here
PERIOD = 100_000  # microseconds, the kernel's usual period for shares of a processor
libc = ctypes.CDLL(None, use_errno=True)


def call(name, *args):
    """The function `name` of the C library; raises OSError where it fails."""
    if getattr(libc, name)(*args) == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def mount(source, target, kind=None, flags=0, options=None):
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind, options)]
    call("mount", *words[:3], ctypes.c_ulong(flags), words[3])


# Limits


def group_of(name):
    """The folders of the control group of the learner `name`, by what they limit; made where that is possible."""
    if (CGROUPS / "memory").is_dir():  # version 1
        folders = {kind: CGROUPS / kind / "tally-class" / name for kind in ("memory", "cpu")}
    elif "memory" in (CGROUPS / "cgroup.controllers").read_text(encoding="utf-8").split():
        folders = dict.fromkeys(("memory", "cpu"), CGROUPS / "tally-class" / name)
        for above in (CGROUPS, CGROUPS / "tally-class"):
            above.mkdir(exist_ok=True)
            (above / "cgroup.subtree_control").write_text("+memory +cpu", encoding="utf-8")
    else:
        raise OSError("no control group for memory")
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
        folder.parent.chmod(0o711)  # whose groups there are is not for everybody to list
    return folders


def limit(name, pid, memory, processors, owner=0):
    """Put the process `pid` under a limit of `memory` bytes and `processors` processors. Raises OSError."""
    folders = group_of(name)
    old = (CGROUPS / "memory").is_dir()
    values = [
        (folders["memory"], "memory.limit_in_bytes" if old else "memory.max", memory),
        (folders["cpu"], "cpu.cfs_period_us" if old else None, PERIOD),
        (folders["cpu"], "cpu.cfs_quota_us" if old else "cpu.max", int(processors * PERIOD)),
    ]
    for folder, file, value in values:
        if file:
            (folder / file).write_text(
                f"{value} {PERIOD}" if file == "cpu.max" else str(value), encoding="utf-8"
            )
    for folder in set(folders.values()):
        os.chown(folder, 0, owner)
        folder.chmod(0o750)  # how busy somebody is is not for the others to read
        (folder / "cgroup.procs").write_text(str(pid), encoding="utf-8")


def release(name):
    """Remove the control group of the learner `name`, if it is empty."""
    for path in (CGROUPS / "memory", CGROUPS / "cpu", CGROUPS):
        try:
            (path / "tally-class" / name).rmdir()
        except OSError:
            continue


# What can be seen


def closed(path):
    """The topmost folder above `path` into which not everybody may go; None if there is none."""
    for folder in reversed(Path(path).parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            return folder
    return None


def furnish(booth):
    """Mount what the learner sees, in this process's own namespace."""
    mount(None, "/", flags=MS_REC | MS_PRIVATE)

    def keep(path):
        """An open `path`, which outlives that it is covered, as a source of `mount`."""
        return f"/proc/self/fd/{os.open(path, os.O_PATH | os.O_CLOEXEC)}"

    def cover(folder):
        mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=1m")

    def uncover(kept, path):
        Path(path).mkdir(parents=True, exist_ok=True)
        mount(kept, path, flags=MS_BIND | MS_REC)

    own, scratch = keep(booth["home"]), keep(booth["scratch"])
    for kind in ("passwd", "group"):
        mount(Path(booth["etc"], kind), f"/etc/{kind}", flags=MS_BIND)
    hidden = {Path(path) for path in booth["hides"]} | {closed(path) for path in booth["sees"]} - {None}
    hidden = {folder for folder in hidden if folder.is_dir() and not hidden & set(folder.parents)}
    hidden |= {Path("/tmp"), Path("/var/tmp")}
    seen = {path: keep(path) for path in booth["sees"] if hidden & set(Path(path).parents)}
    for folder in hidden:
        cover(folder)
    for folder in ("/tmp", "/var/tmp"):
        mount(scratch, folder, flags=MS_BIND)
    for path in sorted(seen):
        uncover(seen[path], path)
    Path(booth["class"]).mkdir(parents=True, exist_ok=True)
    cover(booth["class"])  # the hub, and the folders of all
    uncover(own, booth["home"])
    for folder in map(Path, booth["writable"]):  # the learner's own copy, gone at the end
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        owner = f"uid={booth['uid']},gid={booth['uid']}"
        mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, f"mode=700,size=16m,{owner}")
        for name, content in files.items():
            (folder / name).write_bytes(content)
            os.chown(folder / name, booth["uid"], booth["uid"])
    mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=50%")
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV)


def enrol(booth):
    """Write an /etc/passwd and an /etc/group with the learner in them into the folder `etc`."""
    name, number = booth["name"], booth["uid"]
    for kind, rest in {"passwd": f"{number}::{booth['home']}:/bin/sh", "group": ""}.items():
        system = Path("/etc", kind).read_text(encoding="utf-8").rstrip("\n")
        Path(booth["etc"]).mkdir(parents=True, exist_ok=True)
        path = Path(booth["etc"], kind)
        path.write_text(f"{system}\n{name}:x:{number}:{rest}\n", encoding="utf-8")
        path.chmod(0o644)


# The first process in the booth


def loopback():
    """Switch on 127.0.0.1, which a new network has switched off."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0x1 | 0x40)  # IFF_UP, IFF_RUNNING
        fcntl.ioctl(any_socket, 0x8914, request)  # SIOCSIFFLAGS


def inhabit(booth, command, go_on, furnished):
    """As the first process of the booth: furnish it, start `command` in it as the learner, and wait for its end.

    `go_on` is a pipe from which a byte comes once limits hold; into `furnished` goes one when all is mounted.
    """
    call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    call("unshare", CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | (0 if booth["network"] else CLONE_NEWNET))
    os.read(go_on, 1)
    if not booth["network"]:
        loopback()
    furnish(booth)
    os.write(furnished, b"1")
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(booth["uid"])
        os.setuid(booth["uid"])
        call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        most = resource.getrlimit(resource.RLIMIT_NPROC)[1]
        most = PROCESSES if most == resource.RLIM_INFINITY else min(PROCESSES, most)
        resource.setrlimit(resource.RLIMIT_NPROC, (most, most))  # of this user, who is nowhere else
        os.umask(0o077)
        os.chdir(booth["home"])
        os.closerange(3, 256)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        os.execvp(command[0], command)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: os.kill(child, number))
    while True:  # all orphans of the booth end up here
        ended, status = os.wait()
        if ended == child:
            return max(os.waitstatus_to_exitcode(status), 1) if status else 0


# The gates


async def pump(reader, writer):
    try:
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()


class Gate:
    """Leads connections from one network to the other, between ports of the same number on 127.0.0.1."""

    def __init__(self, inhabitant):
        self.ours, self.theirs = (
            os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC) for pid in ("self", inhabitant)
        )

    def socket(self, inside):
        """A socket of the booth's network or of the machine's: it stays there, wherever it is used."""
        try:
            call("setns", self.theirs if inside else self.ours, CLONE_NEWNET)
            return socket.socket()
        finally:
            call("setns", self.ours, CLONE_NEWNET)

    async def open(self, port, inside):
        """Listen at `port`, in the booth or on the machine, and lead to the same port on the other side."""
        door = self.socket(inside)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(("127.0.0.1", port))

        async def lead(reader, writer):
            beyond = self.socket(not inside)
            beyond.setblocking(False)
            try:
                await asyncio.get_running_loop().sock_connect(beyond, ("127.0.0.1", port))
                there, back = await asyncio.open_connection(sock=beyond)
            except OSError:  # nobody listens there yet
                beyond.close()
                writer.close()
                return
            await asyncio.gather(pump(reader, back), pump(there, writer))
            for each in (writer, back):
                each.close()

        await asyncio.start_server(lead, sock=door)


async def guard(booth, inhabitant):
    """Hold the gates open until the booth's first process ends; return its exit code."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGCHLD, ended.set)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, os.kill, inhabitant, number)
    if not booth["network"]:
        gate = Gate(inhabitant)
        await gate.open(booth["port"], inside=False)
        for port in booth["gates"]:
            await gate.open(port, inside=True)
    while True:
        pid, status = os.waitpid(inhabitant, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        await ended.wait()
        ended.clear()


def main():
    booth, command = json.loads(sys.argv[1]), sys.argv[2:]
    os.umask(0o022)  # what is made here on the way to the learner's folder is for passing through
    enrol(booth)
    go_on, furnished = os.pipe(), os.pipe()
    ours = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    call("unshare", CLONE_NEWPID)  # for the children
    inhabitant = os.fork()
    if inhabitant == 0:
        os.close(go_on[1])
        os.close(furnished[0])
        code = 1
        try:
            code = inhabit(booth, command, go_on[0], furnished[1])
        except OSError as error:
            print(f"The booth of {booth['name']} could not be made: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    call("setns", ours, CLONE_NEWPID)
    os.close(furnished[1])
    if booth["memory"]:
        limit(booth["name"], inhabitant, booth["memory"], booth["processors"], booth["uid"])
    os.write(go_on[1], b"1")
    if os.read(furnished[0], 1):
        code = asyncio.run(guard(booth, inhabitant))
    else:  # it has said why
        code = os.waitstatus_to_exitcode(os.waitpid(inhabitant, 0)[1])
    release(booth["name"])
    return code


if __name__ == "__main__":
    sys.exit(main())
