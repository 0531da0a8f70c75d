"""The watch over a lab sees a container's files as they lie outside of it."""

import os
import pwd
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PROGRAMS, ROOT
from hostile import Watch, desk, outside

CLONE = "clone(child_stack=NULL, flags={}SIGCHLD, child_tidptr=0x7f) = {}"
OWN = Path("/lab")


def found(tmp_path, **threads):
    for number, lines in threads.items():
        (tmp_path / f"thread.{number[1:]}").write_text("\n".join(lines) + "\n")
    return list(outside(Watch(tmp_path), Path("/lab"), [OWN], Path("/home/user")))


def test_a_process_with_another_root_writes_below_that_root(tmp_path):
    write = 'openat(AT_FDCWD</lab>, "/etc/passwd", O_WRONLY|O_CREAT, 0644) = 3'
    inside = [
        'chdir("/lab/image") = 0',
        'chroot(".") = 0',
        write,
        'mkdir("/tmp/x", 0700) = 0',
        CLONE.format("", "2 /* 22 in strace's PID NS */"),
    ]
    assert not found(tmp_path, t1=inside, t22=[write, 'unlink("/etc/passwd") = 0'])


def test_the_same_deeds_are_noticed_before_it_and_where_the_root_lies_outside(tmp_path):
    write = 'openat(AT_FDCWD</lab>, "/etc/passwd", O_WRONLY|O_CREAT, 0644) = 3'
    assert len(found(tmp_path, t1=[write, 'chdir("/lab/image") = 0', 'chroot(".") = 0'])) == 1
    assert len(found(tmp_path, t1=['chroot("/srv") = 0', write])) == 1
    assert len(found(tmp_path, t1=['chroot("/lab/image") = -1 EPERM', write])) == 1


def test_pivot_root_and_what_strace_itself_names_from_outside(tmp_path):
    moved = [
        "fchdir(5</lab/image>) = 0",
        'pivot_root(".", ".") = 0',
        'openat(AT_FDCWD</lab/image/app>, "log", O_WRONLY|O_CREAT, 0644) = 3',
        'openat(AT_FDCWD</>, "log", O_WRONLY|O_CREAT, 0644) = 3',
        'bind(3, {sa_family=AF_UNIX, sun_path="/run/socket"}, 110) = 0',
    ]
    assert not found(tmp_path, t1=moved)
    assert len(found(tmp_path, t1=moved[2:])) == 2


def test_the_network_is_the_machine_s_whatever_the_root(tmp_path):
    call = 'connect(3<TCP:[1]>, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("192.0.2.1")}, 16) = 0'
    assert len(found(tmp_path, t1=['chroot("/lab/image") = 0', call])) == 1


def test_a_thread_shares_the_root_of_its_process_and_another_process_does_not(tmp_path):
    write = 'openat(AT_FDCWD</lab>, "/etc/passwd", O_WRONLY|O_CREAT, 0644) = 3'
    moved = ['chdir("/lab/image") = 0', 'chroot(".") = 0']
    thread = [CLONE.format("CLONE_VM|CLONE_THREAD|", 12), *moved]
    assert not found(tmp_path, t1=thread, t12=[write])
    assert len(found(tmp_path, t1=[CLONE.format("", 12), *moved], t12=[write])) == 1


def test_what_is_sent_does_not_stand_for_where_it_goes(tmp_path):
    sent = 'sendto(3<UDP:[1]>, "127.0.0.1 ::1", 13, 0, {{sa_family=AF_INET, sin_port=htons(9), sin_addr=inet_addr("{}")}}, 16) = 13'
    assert len(found(tmp_path, t1=[sent.format("192.0.2.1")])) == 1
    assert not found(tmp_path, t1=[sent.format("127.0.0.1")])


def test_a_socket_without_a_file_is_everybody_s(tmp_path):
    assert (
        len(found(tmp_path, t1=['connect(3, {sa_family=AF_UNIX, sun_path=@"/tmp/.X11-unix/X0"}, 20) = 0']))
        == 1
    )


def test_what_is_left_in_shared_memory_is_noticed(tmp_path):
    made = 'openat(AT_FDCWD</lab>, "/dev/shm/a", O_RDWR|O_CREAT, 0600) = 3'
    linked = 'link("/dev/shm/a", "/dev/shm/sem.b") = 0'
    gone = 'unlink("/dev/shm/{}") = 0'
    assert not found(tmp_path, t1=[made, linked, gone.format("a")], t2=[gone.format("sem.b")])
    assert len(found(tmp_path, t1=[made, linked, gone.format("a")], t2=[])) == 1
    assert len(found(tmp_path, t1=[made], t2=['unlink("/dev/shm/a") = -1 EACCES (Permission denied)'])) == 1


def test_settings_in_the_home_that_the_system_knows_of_are_noticed(tmp_path):
    home = pwd.getpwuid(os.getuid()).pw_dir
    read = 'openat(AT_FDCWD</lab>, "{}", O_RDONLY) = -1 ENOENT (No such file or directory)'
    assert len(found(tmp_path, t1=[read.format(f"{home}/.curlrc")])) == 1
    assert len(found(tmp_path, t1=[read.format(f"{home}/.config/curlrc")])) == 1
    assert not found(tmp_path, t1=[read.format("/lab/home/.curlrc")])


FILES_THERE = {
    "a.py": "if (a := 1):\n    pass\n",
    "test_a.py": "def test_a():\n    pass\n",
    "a.sh": '#!/bin/sh\na=1\necho "$a"\n',
    "own/pyproject.toml": "[tool.ruff]\n",
    "own/a.py": "if (a := 1):\n    pass\n",
    "a.js": "const a = require('os')\n",
    "w.yml": "on: push\npermissions: {}\njobs: {}\n",
    "a.json": '{"openapi": "3.0.0", "info": {"title": "a", "version": "1"}, "paths": {}}',
}


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("ruff check --select E9,F a.py", "no-such-option|Python 3.7"),
        ("ruff check --select E9,F own", "Python 3.7|no-such-option"),
        ("pytest -p no:cacheprovider test_a.py", "no-such-option"),
        ("shellcheck a.sh", "SC2250"),
        ("node a.js", "package.json"),
        ("zizmor --offline --quiet w.yml", "rules|no-such-option"),
        ("schemathesis run a.json --url http://127.0.0.1:9", "no-such-option"),
        # curl looks in the home that the system names, too: that is for `outside`, above
        ("curl --silent file:///dev/null", "no-such-option"),
    ],
    ids=lambda text: text.split()[0],
)
def test_a_tool_reads_no_settings_above_its_folder_or_in_the_user_s_home(tmp_path, command, fault):
    """With the control that without the guard it does."""
    program, *words = command.split()
    if (found := shutil.which(program, path=PROGRAMS)) is None:
        pytest.skip(f"{program} is missing")
    home, variables = desk(tmp_path)
    (home / "tmp").mkdir()
    there = f'cd $(mktemp -d) && cp -R {home}/here/. . && exec "$0" "$@"'
    (home / "here" / "own").mkdir(parents=True)
    for name, text in FILES_THERE.items():
        (home / "here" / name).write_text(text)

    def said(*guard, **set_there):
        surroundings = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "TMPDIR": str(home / "tmp"),
        } | set_there
        shell = [*guard, "sh", "-c", there, found, *words]
        done = subprocess.run(shell, env=surroundings, capture_output=True, text=True)
        return done.stdout + done.stderr + f"\nended with {done.returncode}"

    assert re.search(fault, said()), "the control"
    guarded = said(sys.executable, "-E", str(ROOT / "labs" / "hermetic.py"), **variables)
    assert not re.search(fault, guarded), guarded
    assert guarded.endswith("ended with 0") or "defines no API operations" in guarded, guarded
