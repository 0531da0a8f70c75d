"""One contract, kept by a folder and by three object stores: each cloud's own library against a server on
this machine."""

import base64
import os
import shutil
import sys
from pathlib import Path

import boto3
import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient
from google.api_core.exceptions import NotFound
from google.cloud import storage
from google.oauth2.credentials import Credentials
from moto import mock_aws
from programs import free_port, start

from tally.model_store import Bucket, Container, Folder, GoogleBucket, move

BIN = Path(sys.executable).parent
KEY = base64.b64encode(b"tally's key").decode()


@pytest.fixture(scope="module")
def azure():
    """A function: the client of Azurite's container for a key."""
    if not (azurite := shutil.which("azurite-blob")):
        pytest.skip("no Azurite found: npm install --global azurite@3.35.0")
    port = free_port()
    command = [azurite, "--blobHost", "127.0.0.1", "--blobPort", port, "--skipApiVersionCheck"]
    process = start(
        [*command, "--inMemoryPersistence", "--disableTelemetry", "--silent"],
        ready=port,
        env=os.environ | {"AZURITE_ACCOUNTS": f"tally:{KEY}"},
    )

    def client(key=KEY):
        account = {"account_name": "tally", "account_key": key}
        service = BlobServiceClient(f"http://127.0.0.1:{port}/tally", credential=account, retry_total=0)
        return service.get_container_client("store")

    client().create_container()
    yield client
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def google():
    """A function: the emulator's bucket for a token."""
    port = free_port()
    process = start(
        [BIN / "gcp-storage-emulator", "start", "--host=127.0.0.1", f"--port={port}", "--in-memory"],
        ready=port,
    )
    clients = []

    def bucket(token="right"):
        options = {"api_endpoint": f"http://127.0.0.1:{port}"}
        clients.append(storage.Client("tally", credentials=Credentials(token), client_options=options))
        return clients[-1].bucket("store")

    bucket().create()
    yield bucket
    for client in clients:
        client.close()
    process.kill()
    process.wait()


@pytest.fixture
def aws():
    with mock_aws():
        client = boto3.client(
            "s3", region_name="us-east-1", aws_access_key_id="tally", aws_secret_access_key="secret"
        )
        client.create_bucket(Bucket="store")
        yield client


@pytest.fixture(params=["folder", "aws", "azure", "google"])
def store(request, tmp_path):
    if request.param == "folder":
        return Folder(tmp_path)
    client = request.getfixturevalue(request.param)
    if request.param == "aws":
        return Bucket("store", client)
    return Container(client()) if request.param == "azure" else GoogleBucket(client())


def test_the_same_bytes_are_one_model_and_others_another(store):
    one = store.put(b"one")
    assert store.put(b"one") == one != store.put(b"two")
    assert store.get(one) == b"one"


def test_bytes_come_back_as_they_were(store):
    model = bytes(range(256)) * 4 + "ä\r\n".encode()
    assert store.get(store.put(model)) == model
    assert store.get(store.put(b"")) == b""


def test_a_model_that_was_exchanged_is_refused_until_it_is_put_again(store):
    name = store.put(b"one")
    store.write(name, b"another")
    with pytest.raises(ValueError, match="another model"):
        store.get(name)
    store.put(b"one")
    assert store.get(name) == b"one"


def test_a_name_that_is_not_here_is_a_key_error(store):
    with pytest.raises(KeyError):
        store.get("0" * 64)


def test_a_model_goes_round_all_stores_under_one_name(tmp_path, aws, azure, google):
    stores = [Folder(tmp_path), Bucket("store", aws), Container(azure()), GoogleBucket(google())]
    name = stores[0].put(b"a traveller")
    for source, target in zip(stores, [*stores[1:], stores[0]], strict=True):
        move(name, source, target)
        assert target.get(name) == b"a traveller"


def test_another_error_than_a_missing_name_is_not_hidden(tmp_path, azure):
    """A wrong key is no missing model."""
    name = Container(azure()).put(b"one")
    with pytest.raises(HttpResponseError) as refused:
        Container(azure(base64.b64encode(b"another key").decode())).get(name)
    assert refused.value.status_code == 403
    with pytest.raises(FileNotFoundError):
        Folder(tmp_path / "nowhere").put(b"one")


def test_what_a_library_raises_for_a_missing_name_is_still_what_the_store_catches(azure, google):
    with pytest.raises(ResourceNotFoundError):
        azure().download_blob("nothing")
    with pytest.raises(NotFound):
        google().blob("nothing").download_as_bytes()


def test_the_emulator_of_google_s_store_checks_no_credential(google):
    """So nothing here says that Google's does: the lab says so too."""
    name = GoogleBucket(google()).put(b"one")
    assert GoogleBucket(google("wrong")).get(name) == b"one"
