"""The gateway's file: HAProxy accepts it, and it agrees with the service."""

import os
import re
import shutil
import subprocess

import pytest
from conftest import ROOT

from tally import service

FILE = ROOT / "tally" / "haproxy.cfg"
HAPROXY = shutil.which("haproxy", path=os.environ["PATH"] + os.pathsep + "/usr/sbin")
ADDRESSES = {name: "127.0.0.1:8080" for name in ("GATEWAY", "POD1", "POD2", "POD3", "POD4")}


def milliseconds(name):
    """The timeout `name` of the file."""
    number, unit = re.search(rf"^ *timeout {name} (\d+)(ms|s)\b", FILE.read_text(), re.MULTILINE).groups()
    return int(number) * (1 if unit == "ms" else 1_000)


@pytest.mark.skipif(HAPROXY is None, reason="no HAProxy found: on Debian or Ubuntu, apt install haproxy")
@pytest.mark.parametrize(
    ("right", "wrong"),
    [("", ""), ("balance leastconn", "balance leastcon"), ("timeout server 2s", "timeout server soon")],
    ids=["as it is", "a misspelt way", "no time"],
)
def test_haproxy_accepts_the_gateway_s_file_and_no_other(tmp_path, right, wrong):
    path = tmp_path / "haproxy.cfg"
    text = FILE.read_text()
    assert right in text
    path.write_text(text.replace(right, wrong) if right else text)
    done = subprocess.run(
        [HAPROXY, "-c", "-f", path], env=os.environ | ADDRESSES, capture_output=True, text=True
    )
    assert (done.returncode == 0) == (not right), done.stderr


def test_the_gateway_asks_for_readiness_where_the_service_answers():
    path = re.search(r"option httpchk GET (\S+)", FILE.read_text())[1]
    assert path == "/health/ready"
    assert path in {route.path for route in service.app.routes}


def test_the_gateway_waits_longer_than_the_service_and_shorter_than_the_client():
    client = 3_000  # milliseconds, after which it gives up
    assert 1_000 * service.BUDGET < milliseconds("server") < client - milliseconds("connect")


def test_the_gateway_repeats_only_what_was_never_sent():
    assert re.findall(r"^ *retry-on (\S+)", FILE.read_text(), re.MULTILINE) == ["conn-failure"]
