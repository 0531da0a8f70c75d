"""Open JupyterLab on the learner's own copy of the labs: `make lab`, or `.venv/bin/python scripts/lab.py`.

Options go to JupyterLab: `--no-browser`, `--port=9000`. Its settings, workspaces and history stand in
`my-labs/.jupyter`, so that those of another Jupyter on this machine do no harm here, and the other way round.
"""

import os
import re
import sys

from environment import ROOT, programs
from learner import files_for_learner, refresh, welcome

BOOK = ROOT / "_build" / "html"  # served below /static/, where the labs' links lead
FOLDERS = {
    "JUPYTER_CONFIG_DIR": "config",
    "JUPYTER_DATA_DIR": "data",
    "JUPYTER_RUNTIME_DIR": "runtime",
    "JUPYTERLAB_SETTINGS_DIR": "settings",
    "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    "IPYTHONDIR": "ipython",
}


def of_its_own(environment, home):
    """`environment` with Jupyter's folders below `home` and nothing else that is set for Jupyter."""
    kept = {
        name: value for name, value in environment.items() if not re.match("JUPYTER|IPYTHON|_JUPYTER", name)
    }
    return (
        kept
        | {name: str(home / folder) for name, folder in FOLDERS.items()}
        | {"JUPYTER_PREFER_ENV_PATH": "1"}  # the course's kernel before another of the same name
        | {"PATH": str(programs(ROOT / ".venv")) + os.pathsep + kept.get("PATH", "")}
    )


def options(given, root_user):
    """JupyterLab's options: ours, but for those that are `given` in their place, for it takes none twice."""
    ours = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.root_dir": ROOT,
        "ServerApp.extra_static_paths": f"['{BOOK}']",
        "LabApp.default_url": "/lab/tree/my-labs/start.md",
    }
    names = {option.partition("=")[0].lstrip("-") for option in given}
    names |= {"ServerApp.ip"} if "ip" in names else set()  # its short form
    kept = [f"--{name}={value}" for name, value in ours.items() if name not in names]
    return [*kept, *["--allow-root"] * root_user, *given]  # nobody else reaches 127.0.0.1


def main():
    try:
        messages = refresh(ROOT / "my-labs", files_for_learner())
    except OSError as error:
        sys.exit(str(error))
    if not BOOK.exists():
        messages.append("The book is not built yet, so links to chapters lead nowhere: `make book`")
    welcome(ROOT / "my-labs", messages)
    print(*messages, sep="\n", file=sys.stderr)
    print("Starting JupyterLab in my-labs (your changes there are never overwritten)", flush=True)
    own = of_its_own(dict(os.environ), ROOT / "my-labs" / ".jupyter")
    os.environ.clear()
    os.environ.update(own)
    from jupyterlab.labapp import main as jupyterlab  # reads the environment when it is imported

    sys.argv = ["jupyter-lab", *options(sys.argv[1:], root_user=hasattr(os, "getuid") and os.getuid() == 0)]
    return jupyterlab()


if __name__ == "__main__":
    sys.exit(main())
