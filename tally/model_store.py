"""One store for models, in a folder or in a cloud's object store. A model's name is the digest
of its bytes.

What is put twice is one model, so a put whose answer was lost may be repeated, by hand or by
the cloud's own library. What comes back is what was put, or an error. No model takes the place
of another.

Each class gets a client that has an identity already: none of them holds a key, and only the
libraries of the clouds in use have to be installed.
"""

from hashlib import sha256
from pathlib import Path


class Store:
    """What the classes below have in common: they know how to write and read bytes under a name."""

    def put(self, model: bytes) -> str:
        """Keep the bytes; their name, 64 hexadecimal digits."""
        name = sha256(model).hexdigest()
        self.write(name, model)
        return name

    def get(self, name: str) -> bytes:
        """The bytes of that name; KeyError if there are none, ValueError if exchanged."""
        model = self.read(name)
        if sha256(model).hexdigest() != name:
            raise ValueError(f"what lies under {name[:12]} is another model")
        return model


class Folder(Store):
    """A folder, which must be there."""

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def write(self, name: str, model: bytes) -> None:
        (self.path / name).write_bytes(model)

    def read(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            raise KeyError(name) from None


class Bucket(Store):
    """A bucket of S3, or of what speaks its protocol."""

    def __init__(self, name: str, client):
        self.name, self.client = name, client

    def write(self, name: str, model: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=f"models/{name}", Body=model)

    def read(self, name: str) -> bytes:
        try:
            return self.client.get_object(Bucket=self.name, Key=f"models/{name}")["Body"].read()
        except self.client.exceptions.NoSuchKey:
            raise KeyError(name) from None


class Container(Store):
    """A container of Azure Blob Storage: its ContainerClient."""

    def __init__(self, client):
        self.client = client

    def write(self, name: str, model: bytes) -> None:
        self.client.upload_blob(f"models/{name}", model, overwrite=True)

    def read(self, name: str) -> bytes:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            return self.client.download_blob(f"models/{name}").readall()
        except ResourceNotFoundError:
            raise KeyError(name) from None


class GoogleBucket(Store):
    """A bucket of Google Cloud Storage, as its Client gives it."""

    def __init__(self, bucket):
        self.bucket = bucket

    def write(self, name: str, model: bytes) -> None:
        self.bucket.blob(f"models/{name}").upload_from_string(model, "application/octet-stream")

    def read(self, name: str) -> bytes:
        from google.api_core.exceptions import NotFound

        try:
            return self.bucket.blob(f"models/{name}").download_as_bytes()
        except NotFound:
            raise KeyError(name) from None


def move(name: str, source: Store, target: Store) -> None:
    """Copy a model from one store to another; it has the same name there, or this fails."""
    assert target.put(source.get(name)) == name
