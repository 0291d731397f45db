#!/usr/bin/env python3
"""Real clients and TLS scanners against a release binary; prints a table of what came of each.

    run.py PRODUCTS [--python PYTHON] [--quick] [--only NAMES] [--reactor epoll|io_uring]

PRODUCTS is the folder of `spillway` and `demo`, PYTHON one that has the libraries of requirements.txt. What is
not installed is skipped and said so. Starts the edge and its services on free ports of 127.0.0.1, and
trusts an authority that it makes for this run. Exits with 1 when a client failed.
"""
import argparse
import contextlib
import http.server
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import tls_scan

HERE = os.path.dirname(os.path.abspath(__file__))
CONFIG = """\
listeners:
  - {{name: plain, address: "127.0.0.1:{plain}"}}
  - name: secure
    address: "127.0.0.1:{secure}"
    tls:
      certificates:
        - {{certificate: ecdsa.pem, key: ecdsa.key}}
        - {{certificate: rsa.pem, key: rsa.key}}
admin: {{address: "127.0.0.1:{admin}"}}
workers: 2
stateDirectory: {work}/state
drain: {{grace: 100ms, deadline: 10s}}
accessLog: {{output: "file:{work}/access.log", sample: {{default: 1}}}}
services:
  - {{name: demo, endpoints: ["127.0.0.1:{demo}"]}}
  - {{name: grpc, protocol: h2c, endpoints: ["127.0.0.1:{grpc}"]}}
  - {{name: websockets, endpoints: ["127.0.0.1:{websockets}"]}}
  - {{name: page, endpoints: ["127.0.0.1:{page}"]}}
routes:
  - {{name: grpc, match: {{pathPrefix: /grpc}}, upstream: {{service: grpc}}, policies: {{auth: none}}}}
  - {{name: websockets, match: {{pathPrefix: /ws}}, upstream: {{service: websockets}}, policies: {{auth: none}}}}
  - {{name: page, match: {{pathPrefix: /page}}, upstream: {{service: page}}, policies: {{auth: none}}}}
  - {{name: all, match: {{pathPrefix: /}}, upstream: {{service: demo}}, policies: {{auth: none, timeoutMs: 20000}}}}
"""


# --- what is under test -------------------------------------------------------------------

def free_ports(names):
    held = {name: socket.create_server(("127.0.0.1", 0)) for name in names}
    ports = {name: s.getsockname()[1] for name, s in held.items()}
    for s in held.values():
        s.close()
    return ports


def make_certificates(work):
    """An authority, and two certificates of localhost that it issued."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, cwd=work, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ecdsa, rsa = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], ["-newkey", "rsa:2048"]
    openssl("req", "-x509", *ecdsa, "-nodes", "-keyout", "authority.key", "-out", "authority.pem", "-days", "60",
            "-subj", "/CN=Clients", "-addext", "basicConstraints=critical,CA:TRUE",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    with open(f"{work}/leaf.txt", "w") as file:
        file.write("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n"
                   "keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n"
                   "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
    for name, key in (("ecdsa", ecdsa), ("rsa", rsa)):
        openssl("req", "-new", *key, "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", "/CN=localhost")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "authority.pem", "-CAkey", "authority.key",
                "-days", "60", "-extfile", "leaf.txt", "-out", f"{name}.pem")
    return f"{work}/authority.pem"


def wait_for(what, condition, process=None, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"{what}: the process has ended")
        if time.monotonic() > end:
            raise RuntimeError(f"{what}: not in {seconds} s")
        time.sleep(0.05)


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


class Stage:
    """The edge with its services, and how to reach them."""

    def __init__(self, stack, work, options):
        self.work, self.python = work, options.python
        self.ports = free_ports(["plain", "secure", "admin", "demo", "grpc", "websockets", "page"])
        self.authority = make_certificates(work)
        self.plain = f"http://127.0.0.1:{self.ports['plain']}"
        self.secure = f"https://localhost:{self.ports['secure']}"
        self.stack = stack
        os.makedirs(f"{work}/state")
        with open(f"{work}/edge.yaml", "w") as file:
            file.write(CONFIG.format(work=work, **self.ports))
        demo = self.start([f"{options.products}/demo", "--port", str(self.ports["demo"]), "--name", "clients"])
        wait_for("the demo service", lambda: answers(f"http://127.0.0.1:{self.ports['demo']}/"), demo)
        environment = dict(os.environ, SPILLWAY_REACTOR=options.reactor) if options.reactor else None
        edge = self.start([f"{options.products}/spillway", "run", "--config", f"{work}/edge.yaml", "--no-supervise"],
                          env=environment)
        wait_for("the edge", lambda: answers(f"http://127.0.0.1:{self.ports['admin']}/readyz"), edge)

    def start(self, command, **options):
        log = open(f"{self.work}/{os.path.basename(command[0])}.log", "a")
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                                   **options)

        def end():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            log.close()
        self.stack.callback(end)
        process.end = end
        return process

    def logged(self, path):
        """Protocols of the access log's lines for a path."""
        with open(f"{self.work}/access.log") as file:
            return {line["protocol"] for line in map(json.loads, file) if line["path"] == path}


# --- clients ------------------------------------------------------------------------------

def script(*command):
    """A client that is a process of its own; its last line is the outcome."""
    def ask(stage):
        try:
            said = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  stdin=subprocess.DEVNULL, text=True, timeout=180)
        except subprocess.TimeoutExpired:
            return "bad: no end within 180 s"
        lines = said.stdout.strip().splitlines() or ["bad: " + "".join(said.stderr.strip().splitlines()[-1:])]
        return lines[-1] if said.returncode == 0 or lines[-1].startswith("bad") else f"bad: {lines[-1]}"
    return ask


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    verdict, told = "", threading.Event()

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        with open(f"{HERE}/page.html", "rb") as file:
            self.answer(file.read())

    def do_POST(self):
        Page.verdict = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.answer(b"")
        Page.told.set()

    def log_message(self, *_):
        pass


def browser(binary, base, protocol):
    """A page that fetches and opens a WebSocket, and tells the service what came of it."""
    def ask(stage):
        Page.told.clear()
        profile = tempfile.mkdtemp(dir=stage.work)
        command = [binary, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                   "--disable-background-networking", "--no-proxy-server", "--ignore-certificate-errors",
                   "--remote-debugging-port=0", f"--user-data-dir={profile}", f"{base}/page/{protocol}"]
        process = stage.start(command)
        was_told = Page.told.wait(90)
        process.end()
        if not was_told:
            return "bad: the page has told nothing within 90 s"
        if not Page.verdict.startswith("ok"):
            return Page.verdict
        if Page.verdict != f"ok {protocol}":
            return f"bad: the page came over {Page.verdict[3:]}"
        return "ok with a WebSocket"
    return ask


def version(command, pattern=r"(\d+\.[\w.]+)"):
    if not command:
        return None
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
                              stdin=subprocess.DEVNULL)
        found = re.search(pattern, said.stdout)
        return found[1] if said.returncode == 0 and found else None
    return None


def library(python, name, module=None):
    """The version of a package, where the module is there that is used of it."""
    code = f"import importlib.metadata as m, {module or name}; print(m.version('{name}'))"
    return version([python, "-W", "ignore", "-c", code])


def clients(stage, options):
    """(client, version or None where it is not there, protocol, what it does)"""
    plain, secure, authority, python = stage.plain, stage.secure, stage.authority, options.python
    ca = ["--cacert", authority]

    have = version(["curl", "--version"])
    curl = f"{HERE}/curl.sh"
    yield "curl", have, "HTTP/1.1", script(curl, plain, "1.1", "--http1.1")
    yield "curl", have, "h2c", script(curl, plain, "2", "--http2-prior-knowledge")
    yield "curl", have, "h2c by Upgrade: answered in HTTP/1.1", script(curl, plain, "1.1", "--http2")
    yield "curl", have, "HTTP/1.1, TLS 1.3", script(curl, secure, "1.1", "--http1.1", "--tlsv1.3", *ca)
    yield "curl", have, "HTTP/2, TLS 1.3", script(curl, secure, "2", "--http2", "--tlsv1.3", *ca)
    yield "curl", have, "HTTP/2, TLS 1.2", script(curl, secure, "2", "--http2", "--tls-max", "1.2", *ca)

    have = version(["nghttp", "--version"])
    yield "nghttp", have, "h2c", script(f"{HERE}/nghttp.sh", plain)
    yield "nghttp", have, "HTTP/2, TLS", script(f"{HERE}/nghttp.sh", secure)

    have = version(["h2load", "--version"])
    yield "h2load", have, "HTTP/1.1", script(f"{HERE}/h2load.sh", plain, "--h1")
    yield "h2load", have, "h2c", script(f"{HERE}/h2load.sh", plain, "-m", "10")
    yield "h2load", have, "HTTP/1.1, TLS", script(f"{HERE}/h2load.sh", secure, "--h1")
    yield "h2load", have, "HTTP/2, TLS", script(f"{HERE}/h2load.sh", secure, "-m", "10")
    if options.quick:
        return

    client = f"{HERE}/http_client.py"
    have = library(python, "httpx")
    yield "httpx", have, "HTTP/1.1", script(python, client, "httpx", plain, "1.1", authority)
    yield "httpx", have, "h2c", script(python, client, "httpx", plain, "2", authority)
    yield "httpx", have, "HTTP/1.1, TLS", script(python, client, "httpx", secure, "1.1", authority)
    yield "httpx", have, "HTTP/2, TLS", script(python, client, "httpx", secure, "2", authority)
    for name in ("requests", "aiohttp"):
        have = library(python, name)
        yield name, have, "HTTP/1.1", script(python, client, name, plain, "1.1", authority)
        yield name, have, "HTTP/1.1, TLS", script(python, client, name, secure, "1.1", authority)

    have = library(python, "grpcio", "grpc")
    calls = [python, f"{HERE}/grpc_calls.py"]
    yield "grpcio", have, "h2c", script(*calls, f"127.0.0.1:{stage.ports['plain']}", stage.ports["grpc"])
    yield "grpcio", have, "HTTP/2, TLS", script(*calls, f"localhost:{stage.ports['secure']}", stage.ports["grpc"], authority)

    have = library(python, "websockets", "websockets.asyncio.server")
    if have:
        stage.start([python, f"{HERE}/websocket_calls.py", "serve", str(stage.ports["websockets"])])
        wait_for("the service of WebSockets", lambda: listens(stage.ports["websockets"]))
    calls = [python, f"{HERE}/websocket_calls.py", "call"]
    yield "websockets", have, "HTTP/1.1", script(*calls, plain.replace("http", "ws"))
    yield "websockets", have, "HTTP/1.1, TLS", script(*calls, secure.replace("http", "ws"), authority)

    have = version(["node", "--version"])
    client = f"{HERE}/http_client.mjs"
    yield "Node.js", have, "HTTP/1.1", script("node", client, "http", plain, authority)
    yield "Node.js", have, "h2c", script("node", client, "http2", plain, authority)
    yield "Node.js", have, "HTTP/1.1, TLS", script("node", client, "http", secure, authority)
    yield "Node.js", have, "HTTP/2, TLS", script("node", client, "http2", secure, authority)

    have = version(["go", "version"])
    binary = f"{stage.work}/http_client"
    if have:
        subprocess.run(["go", "build", "-o", binary, f"{HERE}/http_client.go"], check=True, cwd=stage.work,
                       env=dict(os.environ, GO111MODULE="off", GOFLAGS="", GOCACHE=f"{stage.work}/go"))
    yield "Go net/http", have, "HTTP/1.1", script(binary, plain, "1", authority)
    yield "Go net/http", have, "HTTP/1.1, TLS", script(binary, secure, "1", authority)
    yield "Go net/http", have, "HTTP/2, TLS", script(binary, secure, "2", authority)

    binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    have = version([binary, "--version"] if binary else None)
    if have:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", stage.ports["page"]), Page)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stage.stack.callback(server.shutdown)
    yield "Chromium", have, "HTTP/1.1", browser(binary, plain, "http/1.1")
    yield "Chromium", have, "HTTP/2, TLS", browser(binary, secure, "h2")


def scanners(stage, options):
    port = stage.ports["secure"]
    have = version(["openssl", "version"])
    yield "openssl s_client", have, "TLS", lambda stage: tls_scan.openssl(port, stage.authority)
    if options.quick:
        return
    have = library(options.python, "sslyze")
    yield "sslyze", have, "TLS", lambda stage: tls_scan.sslyze(options.python, port)
    binary = shutil.which("testssl") or shutil.which("testssl.sh")
    have = version([binary, "--version"] if binary else None, r"testssl\S*\s+(\d[\w.]*)")
    yield "testssl.sh", have, "TLS", lambda stage: tls_scan.testssl(binary, port, stage.work)


# --- the table ----------------------------------------------------------------------------

def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("products", help="where spillway and demo are")
    ap.add_argument("--python", default=sys.executable)
    ap.add_argument("--quick", action="store_true", help="curl, nghttp, h2load and openssl alone")
    ap.add_argument("--only", default="", help="parts of clients' names, separated by commas")
    ap.add_argument("--reactor", help="epoll or io_uring (default: the edge chooses)")
    options = ap.parse_args()
    only = [part.strip().lower() for part in options.only.split(",") if part.strip()]
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    with contextlib.ExitStack() as stack:
        work = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        stage = Stage(stack, work, options)
        print("| client | version | protocol | outcome |\n|---|---|---|---|", flush=True)
        for rows in (clients(stage, options), scanners(stage, options)):
            for name, have, protocol, ask in rows:
                if only and not any(part in name.lower() for part in only):
                    continue
                outcome = ask(stage) if have else "skipped: not installed"
                kind = "skipped" if not have else "passed" if outcome.startswith("ok") else "failed"
                counts[kind] += 1
                print(f"| {name} | {have or '-'} | {protocol} | {outcome} |", flush=True)
        if counts["failed"]:
            with open(f"{work}/spillway.log") as file:
                print("clients: the edge said:\n" + "".join(file.readlines()[-20:]), file=sys.stderr)
    print(f"\nclients: {', '.join(f'{count} {kind}' for kind, count in counts.items())}")
    sys.exit(1 if counts["failed"] else 0)


if __name__ == "__main__":
    main()
