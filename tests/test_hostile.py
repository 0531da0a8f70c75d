"""The watch over a lab sees a container's files as they lie outside of it."""

from pathlib import Path

from hostile import Watch, outside

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
