"""One shelf for models, in a folder or in a bucket. A model's name is the digest of its
bytes.

What is put twice is one model; what comes back is what was put, or an error. Nothing is
ever overwritten.
"""

from hashlib import sha256
from pathlib import Path


class Store:
    def put(self, model):
        """Keep the bytes; their name, 64 hexadecimal digits."""
        name = sha256(model).hexdigest()
        self.write(name, model)
        return name

    def get(self, name):
        """The bytes of that name; KeyError if there are none, ValueError if exchanged."""
        model = self.read(name)
        if sha256(model).hexdigest() != name:
            raise ValueError(f"what lies under {name[:12]} is another model")
        return model


class Folder(Store):
    def __init__(self, path):
        self.path = Path(path)

    def write(self, name, model):
        (self.path / name).write_bytes(model)

    def read(self, name):
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            raise KeyError(name) from None


class Bucket(Store):
    def __init__(self, name, client):
        self.name, self.client = name, client  # the client has an identity; this class holds no key

    def write(self, name, model):
        self.client.put_object(Bucket=self.name, Key=f"models/{name}", Body=model)

    def read(self, name):
        try:
            return self.client.get_object(Bucket=self.name, Key=f"models/{name}")["Body"].read()
        except self.client.exceptions.NoSuchKey:
            raise KeyError(name) from None


def move(name, source, target):
    """Copy a model from one store to another; it has the same name there, or this fails."""
    assert target.put(source.get(name)) == name
