"""JupyterHub for a class: started by scripts/classroom.py, which writes the settings that are read here.

Who comes in is on the roll (roll.py), each learner's JupyterLab runs in a booth (booth.py), and gets the labs there
(arrive.py). Where the class is not root's, all share one user, and no booth can be made.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from jupyterhub.auth import Authenticator
from jupyterhub.handlers.login import LoginHandler
from jupyterhub.spawner import LocalProcessSpawner
from jupyterhub.utils import random_port
from traitlets import default

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "scripts")]

from lab import BOOK, FOLDERS  # noqa: E402
from roll import Refused, Roll  # noqa: E402
from whereabouts import token_for  # noqa: E402

CLASS = json.loads(Path(os.environ["CLASS_SETTINGS"]).read_text(encoding="utf-8"))
HUB = Path(CLASS["class"]) / "hub"
BIN = Path(sys.prefix) / "bin"
ROLL = Roll(HUB / "roll.json", list(CLASS["uids"]))
CONSENT = """
<p><label><input type="checkbox" name="consent" value="yes">
Let the instructor see, as numbers without names, which exercise I am at and which advice I got.</label></p>
<p>Sent is which cell of a lab ran, and of an exercise: open, passed, or which of the known mistakes. No code and no text.
You can take it back at any time, and everything is erased when the class ends. Without it you lose nothing.</p>
"""


class Login(LoginHandler):
    """The page of the login, which says why somebody isn't let in."""

    refused = ""

    def _render(self, login_error=None, username=None):
        return super()._render(login_error=login_error and (self.refused or login_error), username=username)


class OnTheRoll(Authenticator):
    """Lets in who is on the roll. Passwords are compared beside the hub's own work, which goes on meanwhile."""

    def get_handlers(self, app):
        return [("/login", Login)]

    async def authenticate(self, handler, data):
        name = data.get("username", "").strip().lower()
        words = (name, data.get("password", ""), data.get("code", ""))
        try:
            await asyncio.get_running_loop().run_in_executor(
                None, lambda: ROLL.admit(*words, address=handler.request.remote_ip)
            )
        except Refused as refused:
            handler.refused = str(refused)
            return None
        return name


class Booth(LocalProcessSpawner):
    """A JupyterLab in a booth of its own; it outlives the hub, which finds it again by its process's number."""

    @default("env_keep")
    def _env_keep_default(self):
        return ["LANG", "LC_ALL"]

    @default("options_form")
    def _options_form_default(self):
        return CONSENT

    def options_from_form(self, form):
        return {"consent": form.get("consent") == ["yes"]}

    def options_from_query(self, query):
        return {}  # a link that somebody sends is nobody's consent

    def make_preexec_fn(self, name):
        return None  # the booth changes the user

    def home(self):
        return Path(CLASS["class"]) / "homes" / self.user.name

    def user_env(self, env):
        own = self.home() / "my-labs" / ".jupyter"
        env |= {variable: str(own / folder) for variable, folder in FOLDERS.items()}
        env |= {
            "HOME": str(self.home()),
            "USER": self.user.name,
            "SHELL": "/bin/sh",
            "PATH": f"{BIN}{os.pathsep}{os.defpath}{os.pathsep}/usr/sbin",
            "JUPYTER_PREFER_ENV_PATH": "1",
        }
        if self.user_options.get("consent"):
            env |= {
                "JUPYTER_PATH": CLASS["kernels"],
                "CLASS_WHERE": f"http://127.0.0.1:{CLASS['ports']['where']}/services/where/report",
                "CLASS_TOKEN": token_for(HUB, self.user.name),
            }
        return env

    def booth(self):
        """The first words of the command."""
        if CLASS["together"]:
            return []
        name = self.user.name
        described = {
            "name": name,
            "uid": CLASS["uids"][name],
            "port": self.port,
            "home": str(self.home()),
            "scratch": str(Path(CLASS["class"]) / "scratch" / name),
            "etc": str(HUB / "etc" / name),
        }
        words = [sys.executable, "-I", str(HERE / "booth.py"), json.dumps(described | CLASS["booth"])]
        return [*CLASS["scope"], *words]

    async def start(self):
        self.port = random_port()
        arrive = [sys.executable, str(HERE / "arrive.py"), CLASS["labs"]]
        self.cmd = [*self.booth(), *arrive, str(BIN / "jupyterhub-singleuser")]
        self.args = [
            f"--ServerApp.root_dir={self.home()}",
            f"--ServerApp.extra_static_paths={[str(BOOK)]!r}",
        ]
        self.popen_kwargs = {"cwd": self.home()}
        return await super().start()


c = get_config()  # noqa: F821
c.JupyterHub.bind_url = CLASS["url"]
c.JupyterHub.ssl_cert, c.JupyterHub.ssl_key = CLASS["cert"], CLASS["key"]
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{CLASS['ports']['hub']}"
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{CLASS['ports']['proxy']}"
c.ConfigurableHTTPProxy.command = [CLASS["proxy"]]
c.ConfigurableHTTPProxy.pid_file = str(HUB / "proxy.pid")
c.JupyterHub.db_url = f"sqlite:///{HUB / 'jupyterhub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(HUB / "cookie_secret")
c.JupyterHub.template_paths = [str(HERE / "templates")]
c.JupyterHub.authenticator_class = OnTheRoll
c.JupyterHub.spawner_class = Booth
c.Authenticator.allowed_users = set(CLASS["uids"])
c.Authenticator.allow_existing_users = False
c.Spawner.apply_user_options = lambda spawner, options: None  # user_env looks at them
c.Spawner.default_url = "/lab/tree/my-labs/start.md"
c.Spawner.start_timeout = 180  # thirty on two processors need it
c.Spawner.http_timeout = 120
c.LocalProcessSpawner.interrupt_timeout = 10
c.JupyterHub.shutdown_on_logout = False
c.JupyterHub.load_groups = {"instructors": {"users": CLASS["instructors"]}}
# A service ends with the hub, however that ends, so that the next hub's finds its port free.
FOLLOW = "import ctypes, runpy, sys; ctypes.CDLL(None).prctl(1, 9, 0, 0, 0); del sys.argv[0]; "
c.JupyterHub.services = [
    {
        "name": "idle",
        "command": [
            sys.executable, "-c", FOLLOW + "runpy.run_module(sys.argv[0], run_name='__main__')",
            "jupyterhub_idle_culler", f"--timeout={CLASS['idle']}", f"--cull-every={max(CLASS['idle'] // 4, 1)}",
        ],
    },
    {
        "name": "where",
        "url": f"http://127.0.0.1:{CLASS['ports']['where']}",
        "command": [
            sys.executable, "-c", FOLLOW + "runpy.run_path(sys.argv[0], run_name='__main__')",
            str(HERE / "whereabouts.py"),
        ],
        "environment": {"CLASS_SETTINGS": os.environ["CLASS_SETTINGS"]},
        "oauth_no_confirm": True,
    },
]  # fmt: skip
c.JupyterHub.load_roles = [
    {"name": "user", "scopes": ["self", "access:services!service=where"]},
    {
        "name": "idle",
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        "services": ["idle"],
    },
]
