"""A real schema registry (Apicurio), fetched once with Maven, and a stand-in before it that can be down, slow or wrong.

    registry = Registry(s.dir).start()          # a JVM on the loopback
    front = Front(registry.url).start()         # what the product is told of
    front.fault = Front.SERVER_ERROR            # from now on; None: it passes everything on
    front.stop(); front.start()                 # nobody listens; on the same port again

As a program: `schema_registry.py fetch` brings the registry into the cache. Standard library only.
"""

import base64
import contextlib
import glob
import http.server
import json
import os
import re
import ssl
import sys
import tarfile
import threading
import urllib.error
import urllib.request

from kafka_broker import cache_dir, fetch_with_maven
from kafka_read import ROOT, ToolError
from processes import Process, free_port, wait_until

POM = os.path.join(ROOT, "tests", "kafka", "registry-pom.xml")
PATH = "/apis/ccompat/v7"
JVM = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


def fetch_registry():
    """Brings the registry into the cache with Maven, once; returns its folder."""
    with open(POM, encoding="utf-8") as file:
        version = re.search(r"<version>([\d.]+\.Final)</version>", file.read())[1]

    def unpack(libs):
        archives = glob.glob(f"{libs}/apicurio-registry-app-{version}-all.tar.gz")
        if len(archives) != 1:
            raise ToolError(f"Maven has not fetched the registry {version}: {os.listdir(libs)}")
        with tarfile.open(archives[0]) as archive:
            archive.extractall(libs)  # from a checked artefact
        os.unlink(archives[0])

    return fetch_with_maven(os.path.join(cache_dir(), f"apicurio-{version}"), POM, f"Apicurio {version}", unpack)


def _open(request, timeout_s=10):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return opener.open(request, timeout=timeout_s)


class Registry:
    """One registry with its data in memory, on a free port of the loopback."""

    def __init__(self, directory):
        self.dir = directory
        self.port = free_port()
        self.process = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}{PATH}"

    def start(self):
        folder = fetch_registry()
        jar, = glob.glob(os.path.join(folder, "*-runner.jar"))
        self.process = Process("registry", ["java", *JVM, "-Dquarkus.http.host=127.0.0.1",
                                            f"-Dquarkus.http.port={self.port}", "-jar", jar],
                               os.path.join(self.dir, "registry.log"), cwd=self.dir)
        wait_until(lambda: self.get("/subjects") == [], 90, "the registry to answer", alive=[self.process])
        return self

    def get(self, path):
        """What it answers, from JSON; the error's JSON if it is one."""
        try:
            with _open(self.url + path) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            return json.load(error)

    def send(self, method, path, body):
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), method=method,
                                         headers={"Content-Type": "application/vnd.schemaregistry.v1+json"})
        try:
            with _open(request) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            return json.load(error)

    def register(self, subject, text):
        return self.send("POST", f"/subjects/{subject}/versions", {"schema": text})["id"]

    def ids(self, names):
        """{id: record name} of the newest versions."""
        return {self.get(f"/subjects/rimbalzo.{name}/versions/latest")["id"]: name for name in names}

    def kill(self):
        if self.process is not None:
            self.process.kill()


class Front:
    """Passes requests on to a registry, or does what its `fault` says instead."""

    SERVER_ERROR, SLOW, TRUNCATED, HUGE, PAGE, REDIRECT, OTHER, CUT, EMPTY = range(9)
    FAULTS = {SERVER_ERROR: "500", SLOW: "slow", TRUNCATED: "truncated JSON", HUGE: "a huge body", PAGE: "a page",
              REDIRECT: "a redirect", OTHER: "JSON of something else", CUT: "a connection cut"}

    def __init__(self, upstream, user=None, password=None, tls=None):
        self.upstream = upstream.removesuffix(PATH)
        self.fault = None
        self.requests = []  # (method, path), in order
        self.authorization = None
        if user is not None:
            self.authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self.tls = tls  # ssl.SSLContext
        self.port = free_port()
        self.released = threading.Event()  # ends those that are slow
        self._server = None
        self._thread = None

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}{PATH}"

    def start(self):
        front = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """One exchange."""

            def log_message(self, *_arguments):  # pylint: disable=arguments-differ
                pass

            def answer(self):
                front.handle(self)

            do_GET = do_POST = do_PUT = answer

        self.released.clear()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        if self.tls:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def stop(self):
        """Nobody listens any more."""
        self.released.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None

    def handle(self, exchange):
        length = int(exchange.headers.get("Content-Length") or 0)
        body = exchange.rfile.read(length)
        self.requests.append((exchange.command, exchange.path))
        with contextlib.suppress(OSError):  # who asked may be gone
            if self.authorization and exchange.headers.get("Authorization") != self.authorization:
                self.reply(exchange, 401, b'{"error_code":40101,"message":"no"}')
            elif self.fault is None:
                self.reply(exchange, *self.pass_on(exchange, body))
            else:
                self.misbehave(exchange)

    def pass_on(self, exchange, body):
        request = urllib.request.Request(self.upstream + exchange.path, body or None, method=exchange.command,
                                         headers={"Content-Type": "application/vnd.schemaregistry.v1+json"})
        try:
            with _open(request) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def misbehave(self, exchange):
        if self.fault == self.SERVER_ERROR:
            self.reply(exchange, 500, b'{"error_code":50001,"message":"the store is gone"}')
        elif self.fault == self.SLOW:
            self.released.wait(60)
        elif self.fault == self.TRUNCATED:
            self.reply(exchange, 200, b'{"schema":"{\\"type\\":\\"rec')
        elif self.fault == self.HUGE:
            self.reply(exchange, 200, b'{"schema":"' + b"x" * (64 << 20) + b'"}')
        elif self.fault == self.PAGE:
            self.reply(exchange, 404, b"<html><body>Not found</body></html>", "text/html")
        elif self.fault == self.REDIRECT:
            self.reply(exchange, 302, b"", location=f"{self.upstream}{exchange.path}")
        elif self.fault == self.OTHER:
            self.reply(exchange, 200, b'{"status":"UP"}')
        elif self.fault == self.EMPTY:
            self.reply(exchange, 404, b'{"error_code":40401,"message":"Subject not found"}')
        elif self.fault == self.CUT:
            exchange.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
            exchange.close_connection = True

    @staticmethod
    def reply(exchange, status, body, content_type="application/json", location=None):
        exchange.send_response(status)
        exchange.send_header("Content-Type", content_type)
        exchange.send_header("Content-Length", str(len(body)))
        if location:
            exchange.send_header("Location", location)
        exchange.end_headers()
        exchange.wfile.write(body)


def server_context(cert, key, client_ca=None):
    """TLS of a Front; with a client_ca only for clients that have a certificate of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


if __name__ == "__main__":
    if sys.argv[1:] != ["fetch"]:
        print(__doc__, file=sys.stderr)
        sys.exit(64)
    try:
        fetch_registry()
    except ToolError as failure:
        print(f"error: {failure}", file=sys.stderr)
        sys.exit(1)
