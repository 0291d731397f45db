#!/usr/bin/env python3
"""Measure HTTP edge proxies side by side on one small machine.

Every proxy runs one worker, pinned to one CPU; the load generator and the
upstream share the other.  The figure of merit is the CPU time the proxy spends
per request, because that repeats on a noisy machine where wall-clock does not.
Proxies take turns within every round, and medians over the rounds are reported
with their ratio to the best peer and to a null relay, the physical floor.

    ./bench.py                                  every peer found, every scenario
    ./bench.py --rounds 3 --scenarios h1,tls-h2 --peers nginx,haproxy,null
    ./bench.py --peer spillway.json --bin spillway=../.build/release/spillway --json out.json
    ./bench.py --list

README.md says how to add a proxy and how to read the figures.
"""
import argparse
import contextlib
import datetime
import http.client
import json
import os
import platform
import re
import resource
import shlex
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
NULL = "null"
DIRECT = "direct"
KIB = 1024


# --- scenarios ---------------------------------------------------------------

class Scenario:
    """kind: h2load (closed loop), handshake, latency or idle."""

    def __init__(self, name, title, kind="h2load", path="/bytes/1024", size=1024, status=200,
                 tls=False, h1=True, conns=64, streams=1, floor=None, unit="CPU us/req", ahead=None,
                 besides=None, **more):
        self.name, self.title, self.kind, self.path, self.size = name, title, kind, path, size
        self.status, self.tls, self.h1, self.conns, self.streams = status, tls, h1, conns, streams
        self.floor = floor or name     # the scenario whose null relay is the floor
        self.unit = unit
        self.ahead = ahead             # asked for once before, on a connection that stays open
        self.besides = besides         # asked for again and again meanwhile
        self.more = more


SCENARIOS = [
    Scenario("h1", "HTTP/1.1 keep-alive, 64 connections, 1 KiB"),
    Scenario("tls-h1", "TLS HTTP/1.1 keep-alive, 64 connections, 1 KiB", tls=True),
    Scenario("tls-h2", "TLS HTTP/2, 16 connections x 32 streams, 1 KiB, h1 upstream",
             tls=True, h1=False, conns=16, streams=32, floor="tls-h1"),
    Scenario("h2c", "cleartext HTTP/2, 16 connections x 32 streams, 1 KiB, h2c upstream",
             path="/h2/1k", h1=False, conns=16, streams=32),
    Scenario("handshake", "full TLS 1.3 handshake (ECDSA P-256) and one 1 KiB request per connection",
             kind="handshake", tls=True, conns=8),
    Scenario("reject-h1", "503 made by the proxy itself, HTTP/1.1, 64 connections",
             path="/reject", size=None, status=503),
    Scenario("reject-h2", "503 made by the proxy itself, TLS HTTP/2, 16 connections x 32 streams",
             path="/reject", size=None, status=503, tls=True, h1=False, conns=16, streams=32,
             floor="reject-h1"),
    Scenario("shed-h1", "503 since the service has as many requests as it may, HTTP/1.1, 64 connections",
             path="/shed", size=None, status=503, floor="reject-h1", ahead="/shed/1/delay/600s",
             besides="/shed/first"),
    Scenario("open-h1", "503 since the service is known to be down, HTTP/1.1, 64 connections",
             path="/open", size=None, status=503, floor="reject-h1", ahead="/open"),
    Scenario("large", "HTTP/1.1 keep-alive, 16 connections, 1 MiB",
             path="/bytes/1048576", size=1 << 20, conns=16),
    Scenario("latency", "open loop, HTTP/1.1, 16 connections, fixed 1000 requests/s",
             kind="latency", conns=16, unit="added p50 us", rate=1000),
    Scenario("idle", "memory per idle HTTP/1.1 connection (8000 open)",
             kind="idle", conns=8000, unit="PSS KiB/conn"),
    Scenario("idle-tls", "memory per idle TLS HTTP/1.1 connection (2000 open)",
             kind="idle", tls=True, conns=2000, unit="PSS KiB/conn"),
]


# --- processes and accounting -------------------------------------------------

class BenchError(Exception):
    pass


def tree(pid):
    """pid and all its descendants."""
    parent = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError, IndexError):
                with open(f"/proc/{entry}/stat") as f:
                    parent[int(entry)] = int(f.read().rpartition(")")[2].split()[1])
    found = [pid]
    for p in found:
        found += [child for child, up in parent.items() if up == p]
    return found


def cpu_seconds(pids):
    """User and system time, in ns resolution where the kernel keeps it."""
    total = 0.0
    for pid in pids:
        with contextlib.suppress(OSError):
            try:
                for tid in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{tid}/schedstat") as f:
                        total += int(f.read().split()[0]) / 1e9
            except FileNotFoundError:
                with open(f"/proc/{pid}/stat") as f:
                    fields = f.read().rpartition(")")[2].split()
                total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def machine_busy():
    """(busy, stolen) CPU seconds of the whole machine."""
    with open("/proc/stat") as f:
        v = [int(x) for x in f.readline().split()[1:]]
    hz = os.sysconf("SC_CLK_TCK")
    return (v[0] + v[1] + v[2] + v[5] + v[6]) / hz, v[7] / hz


def pss_bytes(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as f:
            total += sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
    return total * KIB


class Server:
    """A process of ours that listens on ports."""

    def __init__(self, name, argv, ports, cpus, env=None, log=None):
        self.name, self.ports, self.log = name, ports, log
        out = open(log, "ab") if log else subprocess.DEVNULL
        self.proc = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                     env=dict(os.environ, **(env or {})), preexec_fn=pin(cpus))
        if log:
            out.close()
        try:
            self.wait_ready()
        except BenchError:
            self.stop()
            raise

    def wait_ready(self):
        deadline = time.monotonic() + 15
        for port in self.ports:
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                if self.proc.poll() is not None:
                    raise BenchError(f"{self.name} ended at start: {self.tail()}")
                if time.monotonic() > deadline:
                    raise BenchError(f"{self.name} does not listen on port {port}: {self.tail()}")
                time.sleep(0.05)
        self.pids = tree(self.proc.pid)

    def tail(self):
        if not self.log:
            return ""
        with open(self.log, errors="replace") as f:
            return " | ".join(f.read().strip().splitlines()[-4:])

    def cpu(self):
        return cpu_seconds(self.pids)

    def stop(self):
        if self.proc.poll() is not None:
            return
        pids = tree(self.proc.pid)
        self.proc.terminate()
        try:
            self.proc.wait(5)
        except subprocess.TimeoutExpired:
            for pid in reversed(pids):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.proc.wait()


def pin(cpus):
    return (lambda: os.sched_setaffinity(0, cpus)) if cpus else None


# --- peers --------------------------------------------------------------------

class Peer:
    """A proxy: how to start it, from a descriptor (see README.md)."""

    def __init__(self, name, d, directory):
        unknown = set(d) - {"binary", "config", "command", "env", "version", "skip"}
        if unknown or "command" not in d:
            raise BenchError(f"descriptor of {name}: unknown {sorted(unknown)} or no command")
        self.name = name
        self.binary = d.get("binary")
        self.config = os.path.join(directory, d["config"]) if d.get("config") else None
        self.command = d["command"]
        self.env = d.get("env", {})
        self.version_command = d.get("version")
        self.skip = d.get("skip", {})
        self.values = {}

    @classmethod
    def load(cls, path):
        name = os.path.splitext(os.path.basename(path))[0]
        with open(path) as f:
            return cls(name, json.load(f), os.path.dirname(os.path.abspath(path)))

    def prepare(self, values, run_dir):
        os.makedirs(run_dir, exist_ok=True)
        os.chmod(run_dir, 0o755)
        self.values = dict(values, run_dir=run_dir, config_dir=run_dir, bin=self.binary or "")
        if self.config:
            base = os.path.basename(self.config)
            self.values["config"] = os.path.join(run_dir, base[:-3] if base.endswith(".in") else base)
            render(self.config, self.values["config"], self.values)

    def start(self, cpus):
        argv = [fill(a, self.values) for a in self.command]
        env = {k: fill(v, self.values) for k, v in self.env.items()}
        return Server(self.name, argv, [self.values["port"], self.values["tls_port"]], cpus, env,
                      os.path.join(self.values["run_dir"], "log"))

    def version(self):
        if not self.version_command:
            return ""
        argv = [fill(a, self.values) for a in self.version_command]
        r = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        lines = [line.strip() for line in r.stdout.splitlines() if line.strip()]
        return lines[0].replace(self.binary or " ", os.path.basename(self.binary or " ")) if lines else ""


def fill(text, values):
    """{name} in a command line."""
    try:
        return re.sub(r"\{(\w+)\}", lambda m: str(values[m[1]]), text)
    except KeyError as e:
        raise BenchError(f"unknown placeholder {{{e.args[0]}}} in: {text}")


def render(template, target, values):
    """@name@ in a config template."""
    with open(template) as f:
        text = f.read()
    try:
        text = re.sub(r"@(\w+)@", lambda m: str(values[m[1]]), text)
    except KeyError as e:
        raise BenchError(f"unknown placeholder @{e.args[0]}@ in {template}")
    with open(target, "w") as f:
        f.write(text)


# --- the rig --------------------------------------------------------------------

class Rig:
    def __init__(self, args, work):
        self.args, self.work = args, work
        cpus = sorted(os.sched_getaffinity(0))
        self.pinned = not args.no_pin and len(cpus) > 1
        self.proxy_cpu = {cpus[-1]} if self.pinned else None
        self.load_cpu = set(cpus[:-1]) if self.pinned else None
        self.build()
        self.values = dict(upstream_port=args.port_base, h2_upstream_port=args.port_base + 1,
                           cert=f"{work}/cert.pem", key=f"{work}/key.pem", pem=f"{work}/both.pem")
        self.counts = {}

    def build(self):
        for name in ("upstream", "relay", "load"):
            libs = [] if name == "upstream" else ["-lssl", "-lcrypto", "-lm"]
            self.tool([os.environ.get("CC", "cc"), "-O2", "-o", f"{self.work}/{name}",
                       f"{HERE}/{name}.c"] + libs)
        self.tool(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                   "-nodes", "-days", "30", "-subj", "/CN=localhost",
                   "-addext", "subjectAltName=DNS:localhost,DNS:bench.test,IP:127.0.0.1",
                   "-keyout", f"{self.work}/key.pem", "-out", f"{self.work}/cert.pem"])
        with open(f"{self.work}/both.pem", "w") as out:
            for part in ("cert.pem", "key.pem"):
                with open(f"{self.work}/{part}") as f:
                    out.write(f.read())

    def tool(self, argv):
        r = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if r.returncode:
            raise BenchError(f"{argv[0]}: {r.stdout.strip()}")

    def start_upstreams(self, stack):
        up = Server("upstream", [f"{self.work}/upstream", str(self.values["upstream_port"])],
                    [self.values["upstream_port"]], self.load_cpu)
        stack.callback(up.stop)
        self.upstreams = [up]
        nginx = shutil.which(self.args.bin.get("nginx", "nginx"))
        self.has_h2_upstream = bool(nginx)
        if nginx:
            run_dir = f"{self.work}/upstream_h2"
            os.makedirs(run_dir, exist_ok=True)
            conf = f"{run_dir}/nginx.conf"
            render(f"{HERE}/upstream_h2.conf.in", conf,
                   dict(self.values, run_dir=run_dir, body_1k="x" * 1024))
            up = Server("upstream_h2", [nginx, "-e", "stderr", "-p", run_dir, "-c", conf],
                        [self.values["h2_upstream_port"]], self.load_cpu, log=f"{run_dir}/log")
            stack.callback(up.stop)
            self.upstreams.append(up)

    # One run of a client, with everything accounted around it.

    def measured(self, server, argv, parse):
        servers = self.upstreams + ([server] if server else [])
        cpu0 = server.cpu() if server else 0.0
        busy0, steal0 = machine_busy()
        own0 = sum(s.cpu() for s in servers) + time.process_time() + children_cpu()
        opens0, t0 = self.accepted(), time.monotonic()
        r = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           preexec_fn=pin(self.load_cpu))
        wall = time.monotonic() - t0
        cpu = (server.cpu() if server else 0.0) - cpu0
        own = sum(s.cpu() for s in servers) + time.process_time() + children_cpu() - own0
        busy, steal = machine_busy()
        opens = self.accepted() - opens0 - 1          # asking takes one itself
        sample = parse(r)
        n = sample["requests"]
        sample.update(wall=wall, rps=n / sample.pop("seconds"), cpu_us=cpu * 1e6 / n, busy=cpu / wall,
                      foreign=max(0.0, (busy - busy0 - own) / wall), steal=(steal - steal0) / wall,
                      opens=opens / n)
        return sample

    def accepted(self):
        """Connections the h1 upstream has accepted so far."""
        conn = http.client.HTTPConnection("127.0.0.1", self.values["upstream_port"], timeout=10)
        with contextlib.closing(conn):
            conn.request("HEAD", "/accepted")
            return int(conn.getresponse().getheader("Content-Length"))

    def h2load(self, sc, port, n):
        argv = ["h2load", "-t1", f"-c{sc.conns}", f"-m{sc.streams}", f"-n{n}"]
        if sc.h1:
            argv.append("--h1")
        if sc.tls:
            argv += ["--tls13-ciphers=TLS_AES_128_GCM_SHA256", "--groups=X25519"]
        argv.append(f"{'https' if sc.tls else 'http'}://127.0.0.1:{port}{sc.path}")

        def parse(r):
            def grab(pattern):
                m = re.search(pattern, r.stdout)
                if not m:
                    raise BenchError(f"h2load said: {r.stdout[-400:]}")
                return m
            done = int(grab(r"requests: .* (\d+) done")[1])
            classes = [int(x) for x in grab(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx").groups()]
            data = int(grab(r"\((\d+)\) data")[1])
            proto = grab(r"Application protocol: (\S+)")[1] if sc.tls else None
            if proto and (proto == "h2") == sc.h1:
                raise BenchError(f"negotiated {proto}")
            if done != n or classes[sc.status // 100 - 2] != n:
                raise BenchError(f"{n} sent, {done} done, 2xx..5xx {classes}, {sc.status} wanted")
            if sc.size is not None and data != n * sc.size:
                raise BenchError(f"{data} body bytes, {n * sc.size} wanted")
            return dict(requests=n, seconds=duration(grab(r"finished in ([\d.]+)(us|ms|s|m)")))
        return argv, parse

    def load(self, sc, mode, port, n):
        argv = [f"{self.work}/load", mode, "-p", str(port), "-u", sc.path, "-c", str(sc.conns),
                "-n", str(n), "-b", str(sc.size), "-s", str(sc.status)]
        if sc.tls:
            argv.append("--tls")
        if "rate" in sc.more:
            argv += ["-r", str(sc.more["rate"])]

        def parse(r):
            try:
                d = json.loads(r.stdout)
            except ValueError:
                raise BenchError(f"load said: {r.stdout[-400:]}")
            if d["errors"]:
                raise BenchError(f"{d['errors']} of {d['requests']} replies wrong")
            return {k: v for k, v in d.items() if k not in ("errors", "body_bytes")}
        return argv, parse

    def client(self, sc, port, n):
        if sc.kind == "h2load":
            return self.h2load(sc, port, n)
        return self.load(sc, "handshake" if sc.kind == "handshake" else "rate", port, n)

    def run(self, sc, peer, server):
        """One sample of a scenario through a proxy (or straight to the upstream)."""
        if not sc.ahead:
            return self.sample(sc, peer, server)
        address = ("127.0.0.1", peer.values["port"])
        with contextlib.ExitStack() as stack:
            held = stack.enter_context(socket.create_connection(address, timeout=5))
            held.sendall(get(sc.ahead))
            time.sleep(0.3)
            if sc.besides:
                stack.enter_context(repeated(address, sc.besides))
            return self.sample(sc, peer, server)

    def sample(self, sc, peer, server):
        port = self.values["upstream_port"] if peer is None else \
            peer.values["tls_port" if sc.tls else "port"]
        key = (sc.name, peer.name if peer else DIRECT)
        secs = self.args.seconds
        if sc.kind == "latency":
            self.counts[key] = int(sc.more["rate"] * secs)
        elif key not in self.counts:
            warm = max(sc.conns * sc.streams, 200)
            for n in (warm, warm * 4):             # the second run sets the count
                rps = self.measured(server, *self.client(sc, port, n))["rps"]
            self.counts[key] = max(warm * 2, round(rps * secs))
        n, opening = self.counts[key], sc.conns * sc.streams
        if sc.kind != "h2load":
            opening = 0
            self.measured(server, *self.client(sc, port, max(sc.conns, n // 8)))
        best = None
        for attempt in range(1 + self.args.retries):
            if attempt:
                self.wait_for_quiet()
            # A run of one request a stream is all opening of connections (64 TLS
            # handshakes cost as much as thousands of requests): it is subtracted.
            base = self.measured(server, *self.client(sc, port, opening)) if opening else None
            sample = self.measured(server, *self.client(sc, port, n))
            if base:
                cpu = sample["cpu_us"] * n - base["cpu_us"] * opening
                sample["cpu_us"] = max(0.0, cpu) / (n - opening)
            if best is None or sample["foreign"] < best["foreign"]:
                best = sample
            if best["foreign"] <= self.args.max_foreign:
                break
        return best

    def wait_for_quiet(self):
        deadline = time.monotonic() + self.args.patience
        while time.monotonic() < deadline:
            busy, t = machine_busy()[0], time.monotonic()
            time.sleep(0.25)
            if machine_busy()[0] - busy <= self.args.max_foreign * (time.monotonic() - t):
                return

    def idle(self, sc, peer):
        """Memory of a fresh proxy before and with the connections open."""
        server = peer.start(self.proxy_cpu)
        try:
            port = peer.values["tls_port" if sc.tls else "port"]
            warm = Scenario("warm", "", tls=sc.tls, conns=16)
            self.measured(server, *self.load(warm, "handshake", port, 500))
            time.sleep(0.5)
            before = pss_bytes(server.pids)
            argv, _ = self.load(sc, "idle", port, sc.conns)
            client = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                      preexec_fn=pin(self.load_cpu))
            try:
                first = json.loads(client.stdout.readline() or "{}")
                time.sleep(0.5)
                after = pss_bytes(server.pids)
                client.stdin.close()
                last = json.loads(client.stdout.readline() or "{}")
            finally:
                client.stdout.close()
                if client.wait() or first.get("requests") != sc.conns or first["errors"] or last.get("lost", 1):
                    raise BenchError(f"idle connections failed: {first} {last}")
            return dict(before_mib=before / 2**20, after_mib=after / 2**20,
                        kib_per_conn=(after - before) / sc.conns / KIB)
        finally:
            server.stop()

    def preflight(self, peer):
        """The exact body must come back, plain and over TLS, before anything is timed.

        A peer that skips every TLS scenario is not asked over TLS.
        """
        insecure = ssl.create_default_context()
        insecure.check_hostname = False
        insecure.verify_mode = ssl.CERT_NONE
        ways = [http.client.HTTPConnection("127.0.0.1", peer.values["port"], timeout=5)]
        if not all(sc.name in peer.skip for sc in SCENARIOS if sc.tls):
            ways.append(http.client.HTTPSConnection("127.0.0.1", peer.values["tls_port"], timeout=5,
                                                    context=insecure))
        for conn in ways:
            for size in (1024, 1 << 20, 1024):
                conn.request("GET", f"/bytes/{size}")
                r = conn.getresponse()
                if r.status != 200 or r.read() != b"x" * size:
                    raise BenchError(f"{peer.name}: wrong reply to /bytes/{size} ({r.status})")
            conn.close()


def get(path):
    return f"GET {path} HTTP/1.1\r\nHost: edge\r\n\r\n".encode()


@contextlib.contextmanager
def repeated(address, path):
    """Asks for a path, some 200 times a second at most, whatever comes of it."""
    done = threading.Event()

    def ask():
        with socket.create_connection(address, timeout=60) as client:
            while not done.wait(0.005):
                client.sendall(get(path))
                client.recv(4096)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def children_cpu():
    u = resource.getrusage(resource.RUSAGE_CHILDREN)
    return u.ru_utime + u.ru_stime


def duration(match):
    return float(match[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60}[match[2]]


# --- running and reporting ---------------------------------------------------------

def run_all(rig, peers, scenarios):
    """{scenario: {peer: [sample]}} and a list of remarks."""
    results = {sc.name: {} for sc in scenarios}
    remarks = []
    dropped = set()

    def add(sc, name, fn):
        if (sc.name, name) in dropped:
            return
        try:
            results[sc.name].setdefault(name, []).append(fn())
        except BenchError as e:
            dropped.add((sc.name, name))
            results[sc.name].pop(name, None)
            remarks.append(f"{sc.name}: {name} dropped: {e}")

    for sc in scenarios:
        for p in peers:
            reason = p.skip.get(sc.name)
            if not reason and sc.path.startswith("/h2/") and not rig.has_h2_upstream:
                reason = "needs nginx as the h2c upstream"
            if reason:
                dropped.add((sc.name, p.name))
                remarks.append(f"{sc.name}: {p.name} skipped: {reason}")

    timed = [sc for sc in scenarios if sc.kind != "idle"]
    for r in range(rig.args.rounds):
        # Fresh processes every round, so that one lucky memory layout does not
        # decide; a different order every round, so that nobody always goes first.
        order = peers[r % len(peers):] + peers[:r % len(peers)]
        if not sys.stderr.isatty():
            print(f"round {r + 1}/{rig.args.rounds}", file=sys.stderr, flush=True)
        with contextlib.ExitStack() as stack:
            servers = {}
            for p in order if timed else []:
                servers[p.name] = p.start(rig.proxy_cpu)
                stack.callback(servers[p.name].stop)
                if r == 0:
                    rig.preflight(p)
            for sc in timed:
                if sc.kind == "latency":
                    add(sc, DIRECT, lambda: rig.run(sc, None, None))
                for p in order:
                    progress(f"round {r + 1}/{rig.args.rounds}  {sc.name}  {p.name}")
                    add(sc, p.name, lambda: rig.run(sc, p, servers[p.name]))
        if r < rig.args.idle_rounds:
            for sc in scenarios:
                for p in order if sc.kind == "idle" else []:
                    progress(f"round {r + 1}/{rig.args.rounds}  {sc.name}  {p.name}")
                    add(sc, p.name, lambda: rig.idle(sc, p))
    progress("")
    return results, remarks


def progress(text):
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")
        sys.stderr.flush()


def summarise(scenarios, results):
    """Median, least and spread of each peer's cost, with the two ratios."""
    out = {}
    for sc in scenarios:
        samples = results[sc.name]
        direct = median(s["p50_us"] for s in samples[DIRECT]) if samples.get(DIRECT) else 0
        peers = {}
        for name, runs in samples.items():
            if sc.kind == "idle":
                costs = [s["kib_per_conn"] for s in runs]
            elif sc.kind == "latency":
                costs = [s["p50_us"] - direct for s in runs] if name != DIRECT else [0.0 for _ in runs]
            else:
                costs = [s["cpu_us"] for s in runs]
            mid = median(costs)
            entry = dict(cost=mid, least=min(costs), most=max(costs), spread=spread(costs), samples=runs)
            for k in ("rps", "busy", "foreign", "steal", "opens", "cpu_us", "p50_us", "p99_us",
                      "before_mib", "after_mib"):
                if k in runs[0]:
                    entry[k] = median(s[k] for s in runs)
            if sc.name == "large":
                entry["mb_per_cpu_s"] = sc.size / mid
            peers[name] = entry
        out[sc.name] = dict(title=sc.title, unit=sc.unit, floor=sc.floor, peers=peers)
    for sc in scenarios:
        peers = out[sc.name]["peers"]
        floor = out.get(sc.floor, {}).get("peers", {}).get(NULL) if sc.kind != "idle" else None
        for key, prefix in (("cost", ""), ("least", "least_")):
            real = [p[key] for n, p in peers.items() if n not in (NULL, DIRECT)]
            for n, p in peers.items():
                if n != DIRECT and real and min(real) > 0:
                    p[prefix + "x_best"] = p[key] / min(real)
                if n != DIRECT and floor and floor[key] > 0:
                    p[prefix + "x_null"] = p[key] / floor[key]
    return out


def median(values):
    return statistics.median(list(values))


def spread(values):
    """Distance between the quartiles, relative to the median."""
    m = median(values)
    if len(values) < 3 or m <= 0:
        return 0.0
    q = statistics.quantiles(values, n=4, method="inclusive")
    return (q[2] - q[0]) / m


COLUMNS = [   # heading, key, format; a column nobody has is left out
    ("spread", "spread", "{:.1%}"), ("x best", "x_best", "{:.2f}"), ("x null", "x_null", "{:.2f}"),
    ("least", "least", "{:.2f}"), ("x best", "least_x_best", "{:.2f}"), ("x null", "least_x_null", "{:.2f}"),
    ("req/s", "rps", "{:.0f}"), ("busy", "busy", "{:.0%}"),
    ("MB/cpu-s", "mb_per_cpu_s", "{:.0f}"), ("p50 us", "p50_us", "{:.0f}"), ("p99 us", "p99_us", "{:.0f}"),
    ("MiB before", "before_mib", "{:.1f}"), ("MiB with", "after_mib", "{:.1f}"),
]


def table(summary, remarks, args):
    lines = []
    for name, sc in summary.items():
        lines += ["", f"{name}: {sc['title']}"]
        if sc["floor"] != name:
            lines[-1] += f"   (x null: against the relay in {sc['floor']})"
        peers = sorted(sc["peers"].items(), key=lambda kv: kv[1]["cost"])
        if not peers:
            lines.append("  nothing measured")
            continue
        columns = [c for c in COLUMNS if any(c[1] in p for _, p in peers)]
        rows = [["peer", sc["unit"]] + [c[0] for c in columns]]
        for peer, p in peers:
            mark = "*" if p.get("foreign", 0) > args.max_foreign else ""
            rows.append([peer + mark, f"{p['cost']:.2f}"] +
                        [fmt.format(p[key]) if key in p else "-" for _, key, fmt in columns])
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        for row in rows:
            lines.append("  " + "  ".join([row[0].ljust(widths[0])] +
                                          [v.rjust(w) for v, w in zip(row[1:], widths[1:])]))
        for peer, p in peers:
            if p.get("opens", 0) > 0.1 and peer != DIRECT:
                remarks.append(f"{name}: {peer} opened {p['opens']:.2f} upstream connections per request; "
                               "is upstream keep-alive on?")
    if any(p.get("foreign", 0) > args.max_foreign for sc in summary.values() for p in sc["peers"].values()):
        remarks.append(f"*: other processes took over {args.max_foreign:.0%} of a CPU meanwhile")
    return "\n".join(lines + [""] + remarks)


def choose_peers(args):
    files = sorted(os.path.join(HERE, "peers", f) for f in os.listdir(os.path.join(HERE, "peers"))
                   if f.endswith(".json"))
    peers = {p.name: p for p in map(Peer.load, files + args.peer)}
    for name, command in args.proxy.items():
        peers[name] = Peer(name, {"command": shlex.split(command)}, os.getcwd())
    for name, config in args.config.items():
        if name not in peers:
            raise BenchError(f"--config {name}: no such peer")
        peers[name].config = os.path.abspath(config)
    if args.peers:
        missing = set(args.peers.split(",")) - set(peers)
        if missing:
            raise BenchError(f"no such peer: {', '.join(sorted(missing))}")
        peers = {n: peers[n] for n in args.peers.split(",")}
    return peers


def pair(text):
    name, eq, value = text.partition("=")
    if not eq:
        raise argparse.ArgumentTypeError("NAME=VALUE wanted")
    return name, value


def parse_args():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--peers", metavar="A,B", help="only these (default: all whose binary is found)")
    ap.add_argument("--scenarios", metavar="A,B", help="only these (default: all)")
    ap.add_argument("--rounds", type=int, default=7, help="default 7")
    ap.add_argument("--seconds", type=float, default=1.0, help="length of one sample (default 1)")
    ap.add_argument("--idle-rounds", type=int, default=2, help="rounds that measure memory (default 2)")
    ap.add_argument("--bin", type=pair, action="append", default=[], metavar="NAME=PATH",
                    help="binary of a peer that is not on PATH")
    ap.add_argument("--peer", action="append", default=[], metavar="FILE",
                    help="one more peer, from a descriptor anywhere")
    ap.add_argument("--proxy", type=pair, action="append", default=[], metavar="NAME=COMMAND",
                    help="one more peer, from a command line with {port} {tls_port} {upstream_port} "
                         "{h2_upstream_port} {cert} {key} {config_dir} {config}")
    ap.add_argument("--config", type=pair, action="append", default=[], metavar="NAME=TEMPLATE",
                    help="config template of a peer, rendered to {config}")
    ap.add_argument("--json", metavar="FILE", help="write everything, with all samples")
    ap.add_argument("--no-pin", action="store_true", help="let the scheduler place the processes")
    ap.add_argument("--max-foreign", type=float, default=0.10,
                    help="repeat a sample when other processes took more than this share of a CPU (0.10)")
    ap.add_argument("--retries", type=int, default=2, help="how often to repeat such a sample (default 2)")
    ap.add_argument("--patience", type=float, default=3.0,
                    help="seconds to wait for a quiet machine before repeating a sample (default 3)")
    ap.add_argument("--port-base", type=int, default=18000)
    ap.add_argument("--keep", metavar="DIR", help="work in DIR and leave it there (configs, logs)")
    ap.add_argument("--list", action="store_true", help="list peers and scenarios, run nothing")
    args = ap.parse_args()
    args.bin, args.proxy, args.config = dict(args.bin), dict(args.proxy), dict(args.config)
    return args


def main():
    args = parse_args()
    peers = choose_peers(args)
    scenarios = [sc for sc in SCENARIOS if not args.scenarios or sc.name in args.scenarios.split(",")]
    unknown = set((args.scenarios or "").split(",")) - {""} - {sc.name for sc in SCENARIOS}
    if unknown or not scenarios:
        raise BenchError(f"no such scenario: {', '.join(sorted(unknown))}")

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < 20000 and any(sc.kind == "idle" for sc in scenarios):
        print(f"bench: the idle scenarios want 20000 open files, the limit is {hard}", file=sys.stderr)

    with contextlib.ExitStack() as stack:
        if args.keep:
            work = os.path.abspath(args.keep)
            os.makedirs(work, exist_ok=True)
        else:
            work = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
        os.chmod(work, 0o755)
        usable = []
        for p in peers.values():
            if p.binary == "relay":
                p.binary = f"{work}/relay"
            elif p.binary:
                found = shutil.which(args.bin.get(p.name, p.binary))
                if not found:
                    print(f"{p.name}: {p.binary} not found, left out", file=sys.stderr)
                    continue
                p.binary = os.path.abspath(found)
            usable.append(p)
        if args.list:
            print("peers:    ", " ".join(p.name for p in usable))
            print("scenarios:")
            for sc in SCENARIOS:
                print(f"  {sc.name:10} {sc.title}")
            return 0
        if not shutil.which("h2load"):
            raise BenchError("h2load not found (Debian: nghttp2-client)")

        rig = Rig(args, work)
        for i, p in enumerate(usable):
            ports = dict(port=args.port_base + 10 + 2 * i, tls_port=args.port_base + 11 + 2 * i)
            p.prepare(dict(rig.values, **ports), f"{work}/{p.name}")
        versions = {p.name: p.version() for p in usable}
        rig.start_upstreams(stack)
        started = datetime.datetime.now().astimezone()
        results, remarks = run_all(rig, usable, scenarios)
        summary = summarise(scenarios, results)
        meta = dict(date=started.isoformat(timespec="seconds"), kernel=platform.release(),
                    cpus=os.cpu_count(), pinned=rig.pinned, rounds=args.rounds, seconds=args.seconds,
                    versions=versions)
        print(f"{meta['date']}  kernel {meta['kernel']}  {meta['cpus']} CPUs  "
              f"{'pinned' if rig.pinned else 'not pinned'}  {args.rounds} rounds x {args.seconds:g} s")
        for name, version in versions.items():
            if version:
                print(f"  {name}: {version}")
        print(table(summary, remarks, args))
        if args.json:
            with open(args.json, "w") as f:
                json.dump(dict(meta=meta, scenarios=summary, remarks=remarks), f, indent=1)
                f.write("\n")
        return 1 if any(" dropped: " in r for r in remarks) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchError as e:
        sys.exit(f"bench: {e}")
    except KeyboardInterrupt:
        sys.exit(130)
