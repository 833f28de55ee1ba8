"""Proxies between Weir and what it writes to, which kill one of its processes when a message comes that a point names.

One stands in front of a Kafka broker, and knows what is said by the numbers that Kafka's protocol has for it:

  fence      the transactional id is taken, and what was left open under it is ended
  begin      rows are decided and read back from the checkpoint; the first partition joins the transaction
  rows       they are produced
  marker     the record is produced that says which epoch it was
  commit     the transaction is ended. Asked for and not answered, it is in doubt

The other one stands in front of an S3-compatible server, and knows it by what is put where:

  state      what an operator has captured
  staging    the rows of an epoch, which its sinks have handed over
  manifest   what decides, once the coordinators have agreed on it, that the epoch is complete
  file       a result that shows from now on
  end        the object that says that all files of an epoch are there

`asked`: the request does not reach the other side. `answered`: it does, and the process does not hear of it. `heard`: the answer has gone to
the process, which dies before it has done much with it.
"""

import http.client
import os
import re
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MOMENTS = ["asked", "answered", "heard"]
PRODUCE, INIT_PRODUCER_ID, ADD_PARTITIONS, END_TXN = 0, 22, 24, 26
REQUESTS = {"fence": INIT_PRODUCER_ID, "begin": ADD_PARTITIONS, "rows": PRODUCE, "marker": PRODUCE, "commit": END_TXN}
COMMITS = "weir-commits"
# The first that fits.
OBJECTS = {"staging": r"/runs/[^/]*-staged-[^/]*$", "state": r"/runs/[^/]*$", "manifest": r"/jobs/.*/checkpoints/[^/]*$",
           "end": r"/\.weir-[^/]*/[0-9]+$", "file": r"/part-[^/]*$"}


def owner(port, pids):
    """Which of some processes has the connection from a port of this machine."""
    with open("/proc/net/tcp") as table:
        lines = [line.split() for line in table.readlines()[1:]]
    sockets = {f"socket:[{line[9]}]" for line in lines if int(line[1].split(":")[1], 16) == port and line[3] == "01"}
    for pid in pids:
        try:
            if any(os.readlink(f"/proc/{pid}/fd/{file}") in sockets for file in os.listdir(f"/proc/{pid}/fd")):
                return pid
        except OSError:
            # It has died, or closed a file.
            continue
    return None


class Trap:
    """What is to die at which point. `hit` is set once it has."""

    def __init__(self):
        self.lock, self.hit = threading.Lock(), threading.Event()
        self.point, self.victims, self.is_sprung = None, {}, False

    def arm(self, point, victims):
        """`victims`: what is done when a process of this id comes to the point."""
        with self.lock:
            self.point, self.victims, self.is_sprung = point, victims, False
            self.hit.clear()

    def disarm(self):
        """Whether it was hit. It will not be any more."""
        with self.lock:
            self.point = None
            is_sprung, self.is_sprung = self.is_sprung, False
        return is_sprung and self.hit.wait(10)

    def at(self, point, port):
        """What is to be done now that whoever has the connection from `port` is at a point. It is told once."""
        with self.lock:
            if point != self.point or (pid := owner(port, self.victims)) is None:
                return None
            self.point, self.is_sprung = None, True
            kill = self.victims[pid]

        def spring():
            kill()
            self.hit.set()

        return spring


def exactly(connection, count):
    """So many bytes, or `None` if the other side has gone."""
    data = b""
    while len(data) < count:
        try:
            piece = connection.recv(count - len(data))
        except OSError:
            return None
        if not piece:
            return None
        data += piece
    return data


class KafkaProxy:
    """Hands messages on between clients and the broker."""

    def __init__(self, trap, port, broker):
        self.trap, self.broker = trap, broker
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, address = self.listener.accept()
            threading.Thread(target=self.serve, args=(client, address[1]), daemon=True).start()

    def serve(self, client, port):
        try:
            broker = socket.create_connection(("127.0.0.1", self.broker))
        except OSError:
            client.close()
            return
        steps = {}
        back = threading.Thread(target=self.hand_on, args=(broker, client, port, steps, False), daemon=True)
        back.start()
        self.hand_on(client, broker, port, steps, True)
        back.join()

    def hand_on(self, source, sink, port, steps, asks):
        """Messages of one direction. `steps` has what the requests under way are about, by their numbers."""
        while (head := exactly(source, 4)) and (body := exactly(source, struct.unpack(">i", head)[0])) is not None:
            if asks:
                steps[body[4:8]] = step = self.step_of(body)
            else:
                step = steps.pop(body[:4], None)
            if step and (spring := self.trap.at(f"{step} {'asked' if asks else 'answered'}", port)):
                spring()
                break
            heard = self.trap.at(f"{step} heard", port) if step and not asks else None
            try:
                sink.sendall(head + body)
            except OSError:
                break
            finally:
                if heard:
                    heard()
        for connection in (source, sink):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def step_of(self, request):
        api, = struct.unpack(">h", request[:2])
        if api == PRODUCE:
            return "marker" if COMMITS.encode() in request else "rows"
        return next((step for step, number in REQUESTS.items() if number == api), None)


class ObjectProxy:
    """Hands requests on to a server of objects."""

    def __init__(self, trap, port, server):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle(self):
                self.server_side = http.client.HTTPConnection("127.0.0.1", server)
                try:
                    super().handle()
                except OSError:
                    # The client has gone: it was killed.
                    pass
                finally:
                    self.server_side.close()

            def hand_on(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                path = self.path.split("?")[0]
                step = next((step for step, where in OBJECTS.items() if re.search(where, path)), None) if self.command == "PUT" else None
                port = self.client_address[1]
                if step and (spring := trap.at(f"{step} asked", port)):
                    spring()
                    self.close_connection = True
                    return
                self.server_side.request(self.command, self.path, body, dict(self.headers))
                answer = self.server_side.getresponse()
                content = answer.read()
                if step and (spring := trap.at(f"{step} answered", port)):
                    spring()
                    self.close_connection = True
                    return
                heard = trap.at(f"{step} heard", port) if step else None
                try:
                    self.tell(answer, content)
                finally:
                    if heard:
                        heard()

            def tell(self, answer, content):
                self.send_response_only(answer.status, answer.reason)
                for name, value in answer.getheaders():
                    if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                        self.send_header(name, value)
                length = answer.getheader("Content-Length", "0") if self.command == "HEAD" else len(content)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = hand_on

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, client_address):
                # The client sees it, and asks again.
                pass

        threading.Thread(target=Server(("127.0.0.1", port), Handler).serve_forever, daemon=True).start()
