"""One shelf for models, in a folder or in a bucket. A model's name is the digest of its
bytes.

What is put twice is one model; what comes back is what was put, or an error. No model
takes the place of another.
"""

from hashlib import sha256
from pathlib import Path


class Store:
    """What `Folder` and `Bucket` have in common: they know how to write and read bytes under a name."""

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
        self.name, self.client = name, client  # the client has an identity; this class holds no key

    def write(self, name: str, model: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=f"models/{name}", Body=model)

    def read(self, name: str) -> bytes:
        try:
            return self.client.get_object(Bucket=self.name, Key=f"models/{name}")["Body"].read()
        except self.client.exceptions.NoSuchKey:
            raise KeyError(name) from None


def move(name: str, source: Store, target: Store) -> None:
    """Copy a model from one store to another; it has the same name there, or this fails."""
    assert target.put(source.get(name)) == name
