"""A Kafka broker of a script's own, and what Kafka's own tools write to it and read from it."""

import json
import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SERVICE = Path(__file__).with_name("services") / "kafka"


class Kafka:
    """`advertised`: the port that the broker sends clients to, where that is not its own."""

    def __init__(self, folder, port, advertised=None):
        self.folder, self.servers = str(folder), f"127.0.0.1:{advertised or port}"
        self.environment = {**os.environ, "KAFKA_PORT": str(port), "KAFKA_ADVERTISED_PORT": str(advertised or port),
                            # On a machine that is busy a reader takes long to begin.
                            "KAFKA_READ_PAUSE": "10000"}

    def __call__(self, *arguments, text=None):
        done = subprocess.run([SERVICE, *arguments], env=self.environment, capture_output=True, text=True, input=text)
        if done.returncode:
            raise SystemExit(f"{arguments}: {done.stderr}")
        return done.stdout

    def up(self):
        self("up", self.folder)

    def kill(self):
        self("kill", self.folder)

    def make(self, topics, partitions):
        with ThreadPoolExecutor(2) as makers:
            list(makers.map(lambda topic: self("make", topic, str(partitions)), topics))

    def writer(self, topic, log):
        """A process that writes the lines that it is given: a key, a tab, a value."""
        return subprocess.Popen([SERVICE, "write", topic], env=self.environment, text=True, stdin=subprocess.PIPE, stdout=log, stderr=log,
                                start_new_session=True)

    def records(self, topic):
        """Keys and values of all committed records."""
        return [tuple(line.split("\t", 1)) for line in self("read", topic).splitlines() if "\t" in line]

    def written(self, topics):
        """What is in each topic."""
        with ThreadPoolExecutor(3) as readers:
            return dict(zip(topics, readers.map(self.records, topics)))


class Producer(threading.Thread):
    """Writes rows to a topic, in a thread of its own, until it is told to stop. Those who derive from it say in `run` which, and close the child's
    input behind the last."""

    def __init__(self, kafka, topic, log):
        super().__init__(daemon=True)
        self.stopping, self.number = threading.Event(), 0
        self.child = kafka.writer(topic, log)

    def write(self, key, number, moment):
        """One row: a key, a number, and the text of a time."""
        value = json.dumps({"k": key, "n": number, "ts": moment})
        self.child.stdin.write(f"{key}\t{value}\n")

    def finish(self):
        """Waits until the last row is written."""
        self.stopping.set()
        self.join()
        if self.child.wait(timeout=300):
            raise SystemExit("the records could not be written")
