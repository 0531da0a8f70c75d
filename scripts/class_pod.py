"""A learner's pod of a class on a cluster, tried here by Podman: `.venv/bin/python scripts/class_pod.py IMAGE`.

The manifest says what `workshop/hub/values.yaml` asks the chart for: the command, the user, the limits, the home, no
rights beyond. IMAGE is built as `workshop/hub/Containerfile` says. There is no hub here to log in at, so the last
program of the command is JupyterLab itself, and not `jupyterhub-singleuser`. The start page is asked for, then the
learner's copy of a lab is executed, with all exercises open, the limit of memory is tried, and the pod is removed, which
has a name of its own. `--manifest` prints the manifest only; `--host-network` is for a machine where Podman can make no
network. Ends with 1 if anything of it fails.
"""

import argparse
import secrets
import subprocess
import sys
import time

import yaml
from environment import ROOT

CONTAINER, PORT = "notebook", 8888
PATIENCE = 300  # seconds
LAB = "07_drift_detection"
ASK = f"""
import os, urllib.request
page = urllib.request.urlopen("http://127.0.0.1:{PORT}/lab/tree/my-labs/start.md?token=" + os.environ["JUPYTER_TOKEN"])
print("answers" if b"JupyterLab" in page.read() else "")
"""
LEARN = f"""
import os, subprocess, sys, time, nbformat
from nbclient import NotebookClient
lab = nbformat.read(os.path.expanduser("~/my-labs/{LAB}.ipynb"), as_version=4)
began = time.perf_counter()
NotebookClient(lab, timeout=300, resources={{"metadata": {{"path": os.path.expanduser("~/my-labs")}}}}).execute()
print(f"user {{os.getuid()}}: {LAB} ran to its end in {{time.perf_counter() - began:.0f}} s")
for share, wanted in ((0.5, 0), (2, -9)):
    ended = subprocess.run([sys.executable, "-c", f"len(bytearray({{int(share * float(sys.argv[1]))}}))"]).returncode
    print(f"a program that takes {{share:g}} times the limit of memory ends with {{ended}}")
    assert ended == wanted, f"{{wanted}} was expected"
"""


def manifest(values, image, token="", host_network=False, name="class-learner"):
    """A pod (a dict) for one learner, with what `values` (of Zero to JupyterHub) say of `singleuser`."""
    asked = values["singleuser"]
    *command, program, book = asked["cmd"]
    command += [program.replace("jupyterhub-singleuser", "jupyter-lab"), book]
    command += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={PORT}", "--no-browser"]
    command += [f"--LabApp.default_url={asked['defaultUrl']}"]
    home = asked["storage"]["homeMountPath"]
    environment = {**asked["extraEnv"], "HOME": home, "JUPYTER_TOKEN": token}
    container = {
        "name": CONTAINER,
        "image": image,
        "command": command,
        "workingDir": home,
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "resources": {
            "requests": {"cpu": asked["cpu"]["guarantee"], "memory": asked["memory"]["guarantee"]},
            "limits": {"cpu": asked["cpu"]["limit"], "memory": asked["memory"]["limit"]},
        },
        "securityContext": {
            "runAsUser": asked["uid"],
            "allowPrivilegeEscalation": asked["allowPrivilegeEscalation"],
        },
        "volumeMounts": [{"name": "home", "mountPath": home}],
    }
    spec = {
        "containers": [container],
        "securityContext": {"fsGroup": asked["fsGid"]},
        "volumes": [{"name": "home", "emptyDir": {}}],
        "automountServiceAccountToken": False,
        "restartPolicy": "Never",
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": spec | ({"hostNetwork": True} if host_network else {}),
    }


def podman(*words, given=None, check=True):
    try:
        return subprocess.run(
            ["podman", *words], input=given, capture_output=True, text=True, check=check
        ).stdout
    except FileNotFoundError:
        sys.exit("podman is missing: on Debian or Ubuntu, apt install podman")
    except subprocess.CalledProcessError as error:
        sys.exit(f"podman {words[0]} ended with {error.returncode}:\n{error.stderr[-2000:]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", nargs="?", default="localhost/mastering-mlops")
    parser.add_argument("--manifest", action="store_true")
    parser.add_argument("--host-network", action="store_true")
    given = parser.parse_args()
    values = yaml.safe_load((ROOT / "workshop" / "hub" / "values.yaml").read_text(encoding="utf-8"))
    name = f"class-learner-{secrets.token_hex(4)}"  # so that nobody's pod is met, or removed
    pod = yaml.safe_dump(manifest(values, given.image, secrets.token_hex(), given.host_network, name))
    if given.manifest:
        print(pod, end="")
        return
    inside = ("exec", f"{name}-{CONTAINER}", "/srv/course/.venv/bin/python", "-c")
    try:
        began = time.perf_counter()
        podman("kube", "play", "-", given=pod)
        while "answers" not in podman(*inside, ASK, check=False):
            if time.perf_counter() - began > PATIENCE:
                sys.exit(
                    f"JupyterLab doesn't answer:\n{podman('logs', f'{name}-{CONTAINER}', check=False)[-2000:]}"
                )
            time.sleep(0.5)
        print(f"the start page answers after {time.perf_counter() - began:.0f} s")
        limit = values["singleuser"]["memory"]["limit"].replace("M", "e6")
        print(podman(*inside, LEARN, limit), end="")
    finally:
        podman("kube", "down", "-", given=pod, check=False)


if __name__ == "__main__":
    main()
