"""A class on one server: `make class USERS=users.txt`, on Linux, as root.

JupyterHub with its proxy, by TLS. `users.txt` has a name a line; `ana instructor` may see where the class is. Each name
gets a code to print, once; its owner chooses a password with it. Each learner's JupyterLab runs apart from the others'
(workshop/hub/booth.py). The class lives in the folder `my-class`, which nothing overwrites: passwords and keys in `hub`,
the learners' work in `homes`, what they handed in in `handed-in`. It goes on where it stopped.

    HOST=192.0.2.7    the address at which the class reaches this machine; without it, this machine alone does
    PORT=8000         CERT=… KEY=…    a certificate of your own, instead of one that is made
    LABS="07_drift_detection …"       the labs of the day, by which memory is counted; without it, the largest of all
    NETWORK=yes       lets learners reach the network, and each other's servers
    TOGETHER=yes      without root: everybody is one user, for trying it out
    FORGET=ada        a new code for somebody who has forgotten the password
"""

import argparse
import ctypes
import datetime
import fcntl
import http.client
import ipaddress
import json
import os
import re
import secrets
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
import zipfile
from importlib.util import find_spec
from pathlib import Path

from environment import ROOT
from preflight import GIB, IDLE, courses, memory, of_class

HUB = ROOT / "workshop" / "hub"
FIRST_UID = 66_000  # above every user of a system, below what containers are given
MOST = 1_000
PROXY = "configurable-http-proxy"
IDLE_SECONDS = 3600
DAYS = 30  # a certificate of ours holds
LARGEST_COPY = 20 * 2**20  # bytes of a file that is handed in
NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


class Unready(Exception):
    """The class cannot begin: one sentence a line."""


# The list


def read_users(text, taken=()):
    """{name: "learner" or "instructor"} of a list of users. Raises Unready with a sentence for each fault."""
    users, faults = {}, []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        name, role = words[0], " ".join(words[1:]) or "learner"
        if not NAME.fullmatch(name):
            faults.append(
                f"Line {number}: {name!r} is no name: small letters a to z, then also digits and -, at most 31 in all."
            )
        elif role not in ("learner", "instructor"):
            faults.append(f"Line {number}: after the name stands nothing or `instructor`, and not {role!r}.")
        elif name in users:
            faults.append(f"Line {number}: {name} is on the list already: give the second one another name.")
        elif name in taken:
            faults.append(f"Line {number}: {name} is a user of this machine: give the learner another name.")
        users.setdefault(name, role)
    if not users:
        faults.append("The list of users is empty: write a name a line.")
    if len(users) > MOST:
        faults.append(f"{len(users)} users are too many for one machine: see the page on a cluster.")
    if faults:
        raise Unready("\n".join(faults))
    return users


# Faults


def of_address(host, port, pid_file):
    """What is wrong with listening at `host` and `port`, where a proxy of ours in `pid_file` may do so already."""
    try:
        everywhere = ipaddress.ip_address(host).is_unspecified
    except ValueError:
        yield f"HOST is an address in numbers, and not {host!r}: `ip -brief address` shows those of this machine."
        return
    if everywhere:
        yield f"HOST is the one address at which the class reaches this machine, and not {host}: `ip -brief address`."
        return
    if port == 0:
        yield "PORT is a number from 1 to 65535, and not 0."
        return
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except PermissionError:
        yield f"Port {port} is reserved to root: PORT=8443, for example."
    except OSError as error:
        if error.errno == 98:  # EADDRINUSE
            if not of_ours(pid_file):
                yield f"Port {port} is in use by another program: stop it, or choose another: PORT={port + 1}"
        else:
            yield f"{host} is no address of this machine: `ip -brief address` shows them."
    except OverflowError:
        yield f"PORT is a number from 1 to 65535, and not {port}."


def of_ours(pid_file):
    """Does a proxy still run that a hub of this class left?"""
    try:
        pid = int(pid_file.read_text(encoding="utf-8").split()[0])
        return PROXY.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError, IndexError):
        return False


def of_certificate(cert, key):
    """What is wrong with the certificate and the key in these two files."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if not cert or not key:
        yield "A certificate and its key come together: CERT=… KEY=…"
        return
    try:
        certificate = x509.load_pem_x509_certificate(Path(cert).read_bytes())
        private = load_pem_private_key(Path(key).read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        yield f"CERT and KEY are files in the PEM format, the key without a password: {error}"
        return
    if Path(key).stat().st_mode & 0o077:
        yield f"Others than its owner may read {key}, so learners could: chmod 600 {key}"
    if certificate.public_key() != private.public_key():
        yield f"{key} is not the key of the certificate {cert}."
    if certificate.not_valid_after_utc < datetime.datetime.now(datetime.UTC):
        yield f"The certificate {cert} ended on {certificate.not_valid_after_utc:%d %B %Y}."


def largest(labs, root=ROOT):
    """Bytes that the largest of `labs` takes (names; all where there is none). Raises Unready for what is no lab."""
    known = courses(root)
    if unknown := [lab for lab in labs if lab not in known]:
        raise Unready(f"There is no lab {unknown[0]!r}: LABS takes names such as 07_drift_detection.")
    return max(known[lab][0] for lab in labs or known)


def faults(given, users):
    """What is in the way of this class: sentences. Nothing is changed."""
    folder = Path(given.folder)
    if sys.platform != "linux":
        yield "The class server runs on Linux."
        return
    if not find_spec("jupyterhub"):
        yield "JupyterHub is not installed: make class, which installs it, or python3 scripts/environment.py --class"
    if not proxy():
        yield f"The hub's proxy is missing: npm install --global --prefix {sys.prefix} {PROXY}@5.3.0"
    if os.getuid() and not given.together:
        yield (
            "Only root can keep learners apart. Say TOGETHER=yes to try it without: then all share one user, and each "
            "can read and change everything of the others and of the hub."
        )
    if given.together and not os.getuid():
        yield "TOGETHER is for those who aren't root: leave it out, and learners are kept apart."
    if given.together and given.host not in ("127.0.0.1", "::1"):
        yield "TOGETHER keeps nobody apart, so the class stays on this machine: leave HOST out."
    yield from of_address(given.host, given.port, folder / "hub" / "proxy.pid")
    if given.cert or given.key:
        yield from of_certificate(given.cert, given.key)
    if given.forget and given.forget not in users:
        yield f"{given.forget} is not on the list, so there is nothing to forget."
    if given.idle < 1:
        yield f"IDLE is a number of seconds, at least one, and not {given.idle}."
    total, _ = memory()
    yield from of_class(len(users), total, len(users), largest(given.labs))


def proxy():
    """The path of the proxy, beside the course's programs or on the PATH; None if there is none."""
    return shutil.which(PROXY, path=f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}")


# What the hub needs


def certificate(folder, host):
    """The paths of a certificate for `host` that signs itself, and of its key; made where the last one won't do."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    cert, key = folder / f"{host.replace(':', '-')}.crt", folder / f"{host.replace(':', '-')}.key"
    now = datetime.datetime.now(datetime.UTC)
    if cert.exists() and key.exists():
        old = x509.load_pem_x509_certificate(cert.read_bytes())
        if old.not_valid_after_utc > now + datetime.timedelta(days=2):
            return cert, key
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Mastering MLOps, a class")])
    addresses = {ipaddress.ip_address(host), ipaddress.ip_address("127.0.0.1")}
    names = [x509.DNSName("localhost"), *(x509.IPAddress(address) for address in addresses)]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    key.touch(mode=0o600)
    key.write_bytes(
        private.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    cert.write_bytes(made.public_bytes(pem))
    return cert, key


def fingerprint(cert):
    """What a browser shows of the certificate in the file `cert`, to be read out to the class."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    return (
        x509.load_pem_x509_certificate(Path(cert).read_bytes()).fingerprint(hashes.SHA256()).hex(":").upper()
    )


def free_ports(names):
    """{name: a free port}, all different."""
    sockets = {name: socket.socket() for name in names}
    for each in sockets.values():
        each.bind(("127.0.0.1", 0))
    ports = {name: each.getsockname()[1] for name, each in sockets.items()}
    for each in sockets.values():
        each.close()
    return ports


def numbers(old, names):
    """{name: number as a user}: who had one keeps it, for the files belong to it, and no number is given twice."""
    known = dict(old)
    for name in names:
        known.setdefault(name, max(known.values(), default=FIRST_UID - 1) + 1)
    return known


def remembered(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}


def write(path, text):
    """Write a file for root alone, all of it or nothing, whenever the machine stops."""
    part = path.with_name(path.name + ".part")
    part.touch(mode=0o600)
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def hand_out(shared=ROOT / "_build" / "class"):
    """Put the labs of today and the kernel where every learner reads them; return that folder."""
    from learner import files_for_learner

    shared.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(shared / "labs.zip", "w") as archive:
        for name, content in files_for_learner(read="/hub/user-redirect/static/").items():
            archive.writestr(name, content)
    kernel = shared / "kernels" / "kernels" / "python3"
    kernel.mkdir(parents=True, exist_ok=True)
    (kernel / "kernel.json").write_text(json.dumps(specification()), encoding="utf-8")
    return shared


def furnish(folder, users, given):
    """Make what is missing in the class's `folder`; return the settings that the hub reads."""
    hub, shared = folder / "hub", hand_out()
    for each, mode in {folder: 0o711, hub: 0o700, folder / "handed-in": 0o700}.items():
        each.mkdir(parents=True, exist_ok=True)
        each.chmod(mode)
    for each in ("homes", "scratch", "hub/tls", "hub/etc"):
        (folder / each).mkdir(exist_ok=True)
    uids = numbers(remembered(hub / "uids.json"), users)
    write(hub / "uids.json", json.dumps(uids))
    old = remembered(hub / "class.json")
    if old.get("uids", {}).keys() - users.keys():  # who has left the list has no way in by an old cookie
        (hub / "cookie_secret").unlink(missing_ok=True)
    for name in users:
        for kind in ("homes", "scratch"):
            (folder / kind / name).mkdir(exist_ok=True)
            if not given.together:
                os.chown(folder / kind / name, uids[name], uids[name])
            (folder / kind / name).chmod(0o700)
    cert, key = (given.cert, given.key) if given.cert else certificate(hub / "tls", given.host)
    if not (hub / "where.secret").exists():
        write(hub / "where.secret", secrets.token_hex(32))
    limit, share = int(largest(given.labs) + IDLE), Path(sys.prefix) / "share"
    settings = {
        "class": str(folder),
        "uids": {name: uids[name] for name in users},
        "instructors": [name for name, role in users.items() if role == "instructor"],
        "host": given.host,
        "port": given.port,
        "ports": old.get("ports") or free_ports(("hub", "proxy", "where")),
        "cert": str(Path(cert).resolve()),
        "key": str(Path(key).resolve()),
        "proxy": proxy(),
        "together": given.together,
        "labs": str(shared / "labs.zip"),
        "kernels": str(shared / "kernels"),
        "idle": given.idle,
        "timings": str(given.timings),
    }
    settings["booth"] = {
        "class": str(folder),
        "sees": [str(path) for path in sorted({Path(sys.base_prefix), Path(sys.prefix), ROOT})],
        # the sockets of the machine's services are in /run, and some of them answer everybody
        "hides": ["/home", "/root", *([] if given.network else ["/run"])],
        # what Matplotlib and IPython keep beside the environment, which is not the learner's
        "writable": [str(path) for path in (share / "matplotlib", share / "ipython") if path.is_dir()],
        "network": given.network,
        "gates": [settings["ports"]["hub"], settings["ports"]["where"]],
        "memory": limit,
        "processors": min(2, os.cpu_count()),
    }
    settings["url"], settings["scope"] = address(settings), []
    if Path("/run/systemd/system").is_dir():  # systemd owns the control groups, and keeps the limit
        settings["scope"] = [
            "systemd-run", "--scope", "--quiet", "--collect", f"--property=MemoryMax={limit}",
            "--property=MemorySwapMax=0", f"--property=CPUQuota={100 * settings['booth']['processors']}%",
        ]  # fmt: skip
        settings["booth"]["memory"] = 0
    write(hub / "class.json", json.dumps(settings, indent=1))
    return settings


def specification():
    """The course's kernel, with the report of who agreed to one."""
    sys.path.append(str(ROOT / "labs"))
    import hermetic

    kernel = hermetic.specification()
    kernel["argv"] = [
        str(HUB / "reporter.py") if word == "ipykernel_launcher" else word
        for word in kernel["argv"]
        if word != "-m"
    ]
    return kernel


def rehearse(settings):
    """Start what a learner starts in a booth like theirs; raise Unready where that fails."""
    folder = Path(settings["class"])
    name = next(iter(settings["uids"]))
    booth = settings["booth"] | {
        "name": name, "uid": settings["uids"][name], "home": str(folder / "homes" / name), "gates": [],
        "scratch": str(folder / "scratch" / name), "etc": str(folder / "hub" / "etc" / name), "port": 0,
    }  # fmt: skip
    said = "import jupyterhub.singleuser, jupyterlab, sklearn; print('ready')"
    words = [sys.executable, "-I", str(HUB / "booth.py"), json.dumps(booth), sys.executable, "-c", said]
    done = subprocess.run(
        [*settings["scope"], *words], cwd="/", capture_output=True, text=True, errors="replace", timeout=300
    )
    if done.stdout.split()[-1:] != ["ready"]:
        last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        raise Unready(
            f"A learner's JupyterLab does not start apart from the others ({last}): the class needs root on a machine "
            "or a virtual machine, not in a container, and a course that others may read (chmod -R o+rX)."
        )


# While it runs


def collect(folder):
    """Copy what learners put into their folder `hand-in`; return the names of what is new.

    A learner may put anything there, so no link is followed, nothing but a plain file is read, and not without end.
    """
    new = []
    for home in sorted((folder / "homes").iterdir()):  # the names in it are not ours: see `shown`
        try:
            inner = os.open(home, os.O_DIRECTORY | os.O_NOFOLLOW)
            for name in ("my-labs", "hand-in"):
                outer, inner = inner, os.open(name, os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=inner)
                os.close(outer)
        except OSError:
            continue  # none yet, or a link
        try:
            for name in sorted(os.listdir(inner))[:100]:  # noqa: PTH208  (by its handle, which no link can change)
                content = plain_file(name, inner)
                kept = folder / "handed-in" / home.name / name
                if content is not None and not (kept.exists() and kept.read_bytes() == content):
                    kept.parent.mkdir(parents=True, exist_ok=True)
                    kept.write_bytes(content)
                    new.append(f"{home.name}/{name}")
        finally:
            os.close(inner)
    return new


def shown(name):
    """A learner's `name` of a file as a terminal may show it: what isn't plain text is escaped."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in name)


def plain_file(name, folder):
    """The bytes of the plain file `name` in the open `folder`; None for anything else."""
    if name.startswith("."):
        return None
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        return None
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST_COPY or found.st_nlink > 1:
            return None
        return os.read(handle, LARGEST_COPY)
    finally:
        os.close(handle)


def address(settings):
    host = settings["host"]
    return f"https://{f'[{host}]' if ':' in host else host}:{settings['port']}"


def start(settings, log):
    """Start the hub; it ends with this program, however that ends."""
    hub = Path(settings["class"]) / "hub"
    environment = {
        name: value for name, value in os.environ.items() if not re.match("JUPYTER|IPYTHON|PYTHON", name)
    }
    environment |= {
        "CLASS_SETTINGS": str(hub / "class.json"),
        "PATH": f"{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}",
    }
    parent, libc = os.getpid(), ctypes.CDLL(None)

    def follow():
        libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG: the next call finds everything as it was
        if os.getppid() != parent:
            os._exit(1)

    return subprocess.Popen(
        [sys.executable, "-m", "jupyterhub", "--config", str(HUB / "jupyterhub_config.py")],
        cwd=hub, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, umask=0o077, preexec_fn=follow,
        start_new_session=True,
    )  # fmt: skip


def answers(settings):
    """Whether the class can be entered, through the proxy."""
    anyone = ssl._create_unverified_context()  # it is ours, under whatever name the class will call it
    try:
        there = http.client.HTTPSConnection(settings["host"], settings["port"], timeout=5, context=anyone)
        there.request("GET", "/hub/login")
        return there.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


def hold(settings):
    """Run the hub until somebody stops this program; begin it anew whenever it dies."""
    folder = Path(settings["class"])
    stopping = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.append(True))
    (folder / "hub" / "hub.log").touch(mode=0o600)
    with (folder / "hub" / "hub.log").open("ab") as log:
        os.fchmod(log.fileno(), 0o600)  # learners' programs write to it, so they could open it to read
        hub, up, deaths, collected = start(settings, log), False, [], time.monotonic()
        while not stopping:
            time.sleep(0.2)
            if not up and answers(settings):
                up = True
                print(f"The class is open: {address(settings)}", flush=True)
            if hub.poll() is not None:
                deaths = [moment for moment in deaths if time.monotonic() - moment < 60] + [time.monotonic()]
                if len(deaths) > 3:
                    print(f"The hub doesn't stay up; what it said last is in {log.name}", flush=True)
                    return 1
                print("The hub died and is started again; the learners' servers go on.", flush=True)
                hub, up = start(settings, log), False
            if time.monotonic() - collected > 5:
                collected = time.monotonic()
                try:
                    for name in collect(folder):
                        print(f"Handed in: {shown(name)}", flush=True)
                except OSError as error:  # a full disk ends no class
                    print(f"What was handed in could not be copied, and is tried again: {error}", flush=True)
        hub.send_signal(signal.SIGTERM)
        try:
            hub.wait(90)
        except subprocess.TimeoutExpired:
            hub.kill()
    try:
        collect(folder)
    finally:
        end(settings)
    return 0


def with_entry(text, lab, entry):
    """The text of a timings.yml with one more entry of `lab`; what stands there stays as it is."""
    line = "  - {" + ", ".join(f"{name}: {value}" for name, value in entry.items()) + "}\n"
    if found := re.search(rf"^{lab}:.*\n", text, re.M):
        return text[: found.end()] + line + text[found.end() :]
    return text + f"{lab}:\n{line}"


def end(settings):
    """Keep the minutes that enough people needed, and erase who was where."""
    from whereabouts import Record, known_cells

    hub = Path(settings["class"]) / "hub"
    if not (hub / "where.sqlite").exists():
        return
    record, timings = Record(hub / "where.sqlite", known_cells()), Path(settings["timings"])
    for lab, (people, minutes) in record.minutes().items():
        entry = {"date": datetime.date.today().isoformat(), "people": people, "minutes": minutes}
        old = timings.read_text(encoding="utf-8") if timings.exists() else ""
        timings.write_text(with_entry(old, lab, entry), encoding="utf-8")
        print(f"Measured: {lab}, {minutes} minutes, the median of {people} people, in {timings.name}")
    record.erase()
    (hub / "where.secret").unlink(missing_ok=True)
    print("Who was where is erased.", flush=True)


def welcome(settings, users, codes):
    """What the instructor reads, and prints."""
    if codes:
        print("Codes for the first login, one for each, to cut apart:\n")
        for name, code in codes.items():
            print(f"    {name:31} {code}")
        print()
    print(
        f"The certificate's fingerprint (SHA-256), to compare in the browser:\n    {fingerprint(settings['cert'])}"
    )
    booth = settings["booth"]
    if settings["together"]:
        print("Nobody is kept apart: all share one user, and nothing limits memory or processor.")
    else:
        print(
            f"Each learner has {booth['memory'] / GIB:.1f} GiB of memory, {booth['processors']} processors, files, processes"
            f"{'' if booth['network'] else ' and a network'} apart from the others'. Not apart are the kernel and the "
            "disk: one learner can fill it." + " The network is everybody's." * booth["network"]
        )
    if len(users) > 8 * os.cpu_count():
        print(*of_class(len(users), 2**60, os.cpu_count(), 0))


def arguments(words):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("users", type=Path, nargs="?", default="users.txt", help="a file with a name a line")
    parser.add_argument(
        "--only-labs", action="store_true", help="for an image: write what is handed out, and end"
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--labs", default="", type=lambda text: text.replace(",", " ").split())
    parser.add_argument("--network", action="store_true")
    parser.add_argument("--together", action="store_true")
    parser.add_argument("--forget", default="")
    parser.add_argument("--folder", default=ROOT / "my-class", type=lambda text: Path(text).resolve())
    parser.add_argument("--timings", type=Path, default=ROOT / "workshop" / "timings.yml")
    parser.add_argument(
        "--idle", type=int, default=IDLE_SECONDS, help="seconds after which an unused server stops"
    )
    return parser.parse_args(words)


def ready(given):
    """The users of the list, where nothing is in the way of their class. Raises Unready; changes nothing."""
    import pwd

    try:
        text = given.users.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Unready(f"The list of users cannot be read: {error}") from None
    users = read_users(text, {entry.pw_name for entry in pwd.getpwall()})
    if found := list(faults(given, users)):
        raise Unready("\n".join(found))
    return users


def main():
    given = arguments(sys.argv[1:])
    if given.only_labs:
        hand_out()
        return 0
    try:
        users = ready(given)
        sys.path.append(str(HUB))
        from roll import Roll

        (given.folder / "hub").mkdir(parents=True, exist_ok=True)
        with (given.folder / "hub" / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise Unready("This class is open already.") from None
            print(f"Preparing a class of {len(users)}", flush=True)
            settings = furnish(given.folder, users, given)
            if not given.together:
                rehearse(settings)
            roll = Roll(given.folder / "hub" / "roll.json", list(users))
            if given.forget:
                roll.forget(given.forget)
            welcome(settings, users, roll.codes())
            return hold(settings)
    except Unready as unready:
        sys.exit(str(unready))
    except PermissionError as error:
        sys.exit(f"{error.filename} belongs to somebody else: was this class root's before?")


if __name__ == "__main__":
    sys.exit(main())
