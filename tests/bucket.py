"""An S3-compatible server of a script's own, and a reader of the Parquet files in it that knows nothing of Weir: it has boto3 and Arrow's own
implementation in C++."""

import io
import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

SERVICE = Path(__file__).with_name("services") / "s3"
BUCKET = "weir"


def be_able_to_read():
    """Begins again in a Python that has what the reader wants."""
    python = subprocess.run([SERVICE, "python"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    # Not what it links to: a virtual environment is known by the path.
    if sys.executable != python:
        os.execv(python, [python, *sys.argv])


class Store:
    """`proxied`: the port that Weir is sent to, where that is not the server's own."""

    def __init__(self, folder, port, proxied=None):
        self.folder, self.port, self.proxied = str(folder), port, proxied or port
        self.environment = {}

    def up(self):
        printed = subprocess.run([SERVICE, "up", self.folder], env={**os.environ, "S3_PORT": str(self.port)}, check=True,
                                 stdout=subprocess.PIPE, text=True).stdout
        self.environment = dict(line.removeprefix("export ").split("=", 1) for line in printed.splitlines())
        self.environment["AWS_ENDPOINT"] = f"http://127.0.0.1:{self.proxied}"

    def down(self):
        subprocess.run([SERVICE, "down", self.folder], env={**os.environ, "S3_PORT": str(self.port)}, check=False)


class Reader(threading.Thread):
    """Lists what a job writes again and again, and reads each file once. Whatever is seen has to be whole, to stay as it is, and to
    hold no row that another file has. `rows` is what was seen, by folder."""

    def __init__(self, store, folders):
        import boto3

        super().__init__(daemon=True)
        self.client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{store.port}", region_name="us-east-1",
                                   aws_access_key_id="reader", aws_secret_access_key="reader")
        self.seen, self.rows, self.wrong, self.looks = {}, {folder: Counter() for folder in folders}, [], 0
        self.lock, self.stopping = threading.Lock(), threading.Event()
        self.start()

    def run(self):
        while not self.stopping.wait(1):
            self.look()

    def finish(self):
        self.stopping.set()
        self.join()

    def look(self):
        with self.lock:
            for folder in self.rows:
                self.look_into(folder)
            self.looks += 1

    def look_into(self, folder):
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{folder}/")
        listed = {file["Key"]: (file["ETag"], file["Size"]) for page in pages for file in page.get("Contents", [])}
        visible = {path: what for path, what in listed.items() if not any(part.startswith(".") for part in path.split("/"))}
        for path, what in self.seen.items():
            if path.startswith(f"{folder}/") and visible.get(path) != what:
                self.wrong.append(f"{path} was {what} and is {visible.get(path)}")
        for path in visible.keys() - self.seen.keys():
            self.read(folder, path)
        self.seen |= visible

    def read(self, folder, path):
        import pyarrow
        from pyarrow import parquet

        content = self.client.get_object(Bucket=BUCKET, Key=path)["Body"].read()
        try:
            table = parquet.read_table(io.BytesIO(content))
        except (pyarrow.ArrowInvalid, OSError) as error:
            self.wrong.append(f"{path} is no whole file: {error}")
            return
        rows = self.rows[folder]
        for row in zip(*(column.to_pylist() for column in table.columns)):
            rows[row] += 1
            if rows[row] > 1:
                self.wrong.append(f"{path}: {row} is there a second time")
