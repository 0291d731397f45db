#!/usr/bin/env python3
"""Evaluates every expression of dashboards/ in a Prometheus that scrapes a loaded edge.

    scripts/check-dashboards.py [DIRECTORY]     where `spillway` is (default: the release build)

Two services that can do 400 requests/s each get more than that, one of them in shadow mode; a third
has everything that a service can have, and an endpoint that is dead. None of the expressions may
fail or stay empty. Everything listens on 127.0.0.1 and ends with this script.
"""
import asyncio
import contextlib
import glob
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
import urllib.error
import urllib.parse
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BOARDS = os.path.join(ROOT, "dashboards")
RULES = f"{BOARDS}/rules/spillway.yaml"
# Prometheus scrapes once a second; what a rate needs is there after a few of them.
PATIENCE = 60
SLOTS, SERVICE_TIME = 8, 0.02
# Of each service: enough that they cannot all wait.
CLIENTS = 160
# Of the third one, which is not overloaded: a hedge needs a hundred answers to know what is late.
READERS = 8
CALM = 5
# Far above what the clients can have in flight: the services are what is overloaded here.
IN_FLIGHT = 2_000
PRESSURES = {"loop-delay", "memory", "descriptors", "connections", "in-flight", "buffers"}
CLASSES = ("critical", "important", "normal", "best-effort")


def fail(message):
    print(f"check-dashboards: {message}", file=sys.stderr)
    raise SystemExit(1)


def free_ports(count):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


# The load.


async def read_message(reader):
    """The head of a message, with its body read; empty at the end of the connection."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    if length:
        await reader.readexactly(int(length[1]))
    return head


async def serve(port, slots, fails_each=0):
    """A service that does so much and lets the rest wait, and of so many answers fails one."""
    count = 0

    async def converse(reader, writer):
        nonlocal count
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await read_message(reader)
                async with slots:
                    await asyncio.sleep(SERVICE_TIME)
                count += 1
                status = b"500 Failed" if fails_each and count % fails_each == 0 else b"200 OK"
                writer.write(b"HTTP/1.1 %s\r\ncontent-length: 2\r\n\r\nok" % status)
                await writer.drain()
        writer.close()
    return await asyncio.start_server(converse, "127.0.0.1", port, backlog=512)


async def call(port, path, delay):
    """One client that asks again as soon as it has its answer."""
    await asyncio.sleep(delay)
    request = f"GET {path} HTTP/1.1\r\nHost: edge\r\n\r\n".encode()
    while True:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            while True:
                writer.write(request)
                head = await read_message(reader)
                if not head.startswith(b"HTTP/1.1 200"):
                    await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)


def run_load(edge_port, upstream_ports):
    async def main():
        *loaded, reads = upstream_ports
        servers = [await serve(port, asyncio.Semaphore(SLOTS)) for port in loaded]
        servers.append(await serve(reads, asyncio.Semaphore(SLOTS), fails_each=50))
        readers = [call(edge_port, "/reads", 0) for _ in range(READERS)]
        paths = [f"/{service}/{name}" for service in ("real", "trial") for name in CLASSES]
        # Calm at first: what enforces nothing cannot learn the unloaded latency later.
        await asyncio.gather(*readers, *(call(edge_port, paths[i % len(paths)], 0 if i < len(paths) else CALM)
                                         for i in range(2 * CLIENTS)))
        del servers
    threading.Thread(target=lambda: asyncio.run(main()), daemon=True).start()


# The edge and Prometheus.


def edge_config(work, edge_port, tls_port, admin_port, upstream_ports, dead_port):
    with open(f"{work}/endpoints.yaml", "w") as file:
        file.write(f"endpoints: ['127.0.0.1:{upstream_ports[2]}', '127.0.0.1:{dead_port}']\n")
    routes = "\n".join(
        f"  - {{name: {service}-{name}, class: {name}, match: {{path: /{service}/{name}}}, "
        f"upstream: {{service: {service}}}, policies: {{auth: none}}}}"
        for service in ("real", "trial") for name in CLASSES)
    return f"""
listeners:
  - {{name: public, address: "127.0.0.1:{edge_port}", connections: {{perAddress: 1000}}}}
  - name: secure
    address: "127.0.0.1:{tls_port}"
    tls: {{certificates: [{{certificate: {work}/cert.pem, key: {work}/key.pem}}]}}
admin: {{address: "127.0.0.1:{admin_port}"}}
stateDirectory: {work}/state
accessLog: {{output: "off"}}
overload: {{inFlight: {IN_FLIGHT}}}
services:
  - {{name: real, endpoints: ["127.0.0.1:{upstream_ports[0]}"]}}
  - {{name: trial, endpoints: ["127.0.0.1:{upstream_ports[1]}"], admission: {{mode: shadow}}}}
  - name: reads
    discovery: {{file: {work}/endpoints.yaml}}
    health: {{interval: 1s}}
    breaker: {{}}
    outlier: {{}}
    limits: {{connections: 64, requests: 64, pending: 16}}
routes:
{routes}
  - name: reads
    match: {{path: /reads}}
    upstream: {{service: reads, fallback: {{respond: {{status: 503}}}}}}
    policies: {{auth: none, retries: 1, retryOn: [connect-failure, 5xx], hedge: {{}}}}
"""


def prometheus_config(admin_port):
    with open(f"{BOARDS}/prometheus.yml") as file:
        text = file.read()
    text, targets = re.subn(r"targets: \[.*\]", f"targets: ['127.0.0.1:{admin_port}']", text)
    text, intervals = re.subn(r"_interval: \S+", "_interval: 1s", text)
    if targets != 1 or intervals != 2:
        fail("prometheus.yml has no longer one list of targets and two intervals")
    return text.replace("rules/spillway.yaml", RULES)


@contextlib.contextmanager
def process(log, *command):
    with open(log, "ab") as out:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def wait_for(url, child, log):
    deadline = time.monotonic() + PATIENCE
    while child.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.read()
        time.sleep(0.1)
    with open(log, errors="replace") as file:
        fail(f"{url} does not answer; its process said:\n" + "".join(file.readlines()[-10:]))


# The expressions.


def board_expressions():
    for path in sorted(glob.glob(f"{BOARDS}/*.json")):
        with open(path) as file:
            yield from expressions_of(json.load(file))


def expressions_of(board):
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            for mode in ("enforce", "shadow"):
                expression = target["expr"]
                if mode == "shadow" and "$mode" not in expression:
                    continue
                for name, value in (("$__rate_interval", "15s"), ("$service", ".*"), ("$mode", mode)):
                    expression = expression.replace(name, value)
                if "$" in expression:
                    fail(f"{panel['title']}: an unknown variable in {expression}")
                yield f"{board['title']}, {panel['title']}, {mode}", expression


def rule_expressions(prometheus):
    for group in ask(prometheus, "rules")["groups"]:
        for rule in group["rules"]:
            expression = rule["query"]
            if rule["type"] == "alerting":
                # An alert that is silent has no value: what it compares has.
                expression, count = re.subn(r"\s[<>]=?\s[0-9.e]+$", "", expression)
                if count != 1:
                    fail(f"{rule['name']} does not end with a comparison: {expression}")
            yield f"rule {rule['name']}", expression


def ask(prometheus, what, **parameters):
    url = f"{prometheus}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        fail(f"{parameters}: {error.read().decode(errors='replace')}")


def has_value(prometheus, expression):
    samples = ask(prometheus, "query", query=expression)["result"]
    return any(sample["value"][1] != "NaN" for sample in samples)


def check_pressure(prometheus):
    """The board shows each kind of the edge's own pressure, and that of requests in flight moves."""
    shown = [expression for name, expression in board_expressions() if "spillway_edge_pressure" in expression]
    if len(shown) != 1:
        fail(f"the board shows the edge's pressure {len(shown)} times")
    deadline = time.monotonic() + PATIENCE
    values = {}
    while time.monotonic() < deadline:
        samples = ask(prometheus, "query", query=shown[0])["result"]
        values = {each["metric"].get("kind"): float(each["value"][1]) for each in samples}
        if set(values) == PRESSURES and 0 < values["in-flight"] <= 1:
            return
        time.sleep(1)
    fail(f"the board shows as the edge's pressure: {values}")


def check(prometheus):
    expressions = list(board_expressions())
    deadline = time.monotonic() + PATIENCE
    rules = list(rule_expressions(prometheus))
    empty = expressions + rules
    while empty and time.monotonic() < deadline:
        time.sleep(1)
        empty = [each for each in empty if not has_value(prometheus, each[1])]
    if empty:
        fail("no value:\n" + "\n".join(f"  {name}: {expression}" for name, expression in empty))
    check_pressure(prometheus)
    print(f"check-dashboards: {len(expressions)} expressions of the boards and {len(rules)} rules have values")


def main():
    for tool in ("prometheus", "promtool", "openssl"):
        if not shutil.which(tool):
            fail(f"{tool} is not installed")
    binary = os.path.join(sys.argv[1] if len(sys.argv) > 1 else f"{ROOT}/.build/release", "spillway")
    subprocess.run(["promtool", "check", "config", f"{BOARDS}/prometheus.yml"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["promtool", "test", "rules", f"{BOARDS}/rules/spillway.test.yaml"], check=True)

    with contextlib.ExitStack() as stack:
        work = stack.enter_context(tempfile.TemporaryDirectory(prefix="dashboards-"))
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
             "-keyout", f"{work}/key.pem", "-out", f"{work}/cert.pem"],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        edge_port, tls_port, admin_port, prometheus_port, dead_port, *upstream_ports = free_ports(8)
        with open(f"{work}/edge.yaml", "w") as file:
            file.write(edge_config(work, edge_port, tls_port, admin_port, upstream_ports, dead_port))
        with open(f"{work}/prometheus.yml", "w") as file:
            file.write(prometheus_config(admin_port))

        edge = stack.enter_context(process(f"{work}/edge.log", binary, "run", "--config", f"{work}/edge.yaml"))
        wait_for(f"http://127.0.0.1:{admin_port}/readyz", edge, f"{work}/edge.log")
        run_load(edge_port, upstream_ports)
        server = stack.enter_context(process(
            f"{work}/prometheus.log", "prometheus", f"--config.file={work}/prometheus.yml",
            f"--storage.tsdb.path={work}/data", f"--web.listen-address=127.0.0.1:{prometheus_port}"))
        address = f"http://127.0.0.1:{prometheus_port}"
        wait_for(f"{address}/-/ready", server, f"{work}/prometheus.log")
        check(address)


if __name__ == "__main__":
    main()
