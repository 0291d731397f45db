#!/usr/bin/env python3
"""Hostile clients against a release binary: what they cost the edge, and what a polite one notices.

    ./abuse.py                               everything
    ./abuse.py --only PING,SETTINGS          floods and stalls whose name has one of these
    ./abuse.py --only handshake              drops at each stage of the TLS handshake alone

Floods repeat one pattern, with a new connection whenever the edge ends one, until the edge has looked at
100,000 of their frames; what the connections themselves cost is measured before and taken off. Stalls
open many connections that owe something and wait. Meanwhile a client of its own process asks every
20 ms. Then connections are dropped at each stage of the TLS handshake, of both versions, with HelloRetryRequest and
with certificates of clients, until the edge has counted 100,000 that got as far as that. Exits 1 when a goal is
missed: 2.5 s of CPU per 100,000 frames, 8 MiB of growth, a polite answer in 250 ms, nothing left at the end.
"""
import argparse
import contextlib
import dataclasses
import multiprocessing
import os
import selectors
import socket
import ssl
import struct
import sys
import tempfile
import time
import typing

import bench
import hostile
import proxies

MIB = 1 << 20
GOAL_CPU, GOAL_MIB, GOAL_SECONDS = 2.5, 8.0, 0.25
CONFIG = """\
listeners:
  - {{name: plain, address: "127.0.0.1:{plain}", connections: {{maximum: 5000, perAddress: 5000}}}}
  - name: secure
    address: "127.0.0.1:{secure}"
    connections: {{maximum: 5000, perAddress: 5000}}
    tls: {{certificates: [{{certificate: {work}/cert.pem, key: {work}/key.pem}}]}}
  - name: mutual
    address: "127.0.0.1:{mutual}"
    connections: {{maximum: 5000, perAddress: 5000}}
    tls:
      certificates: [{{certificate: {work}/cert.pem, key: {work}/key.pem}}]
      clientCertificates: {{mode: required, authorities: {work}/cert.pem}}
admin: {{address: "127.0.0.1:{admin}"}}
workers: 1
accessLog: {{output: "off"}}
services:
  - {{name: origin, endpoints: ["127.0.0.1:{origin}"], connections: {{maximum: 4000, idle: 1s}}}}
  - {{name: other, endpoints: ["127.0.0.1:{other}"], connections: {{maximum: 10, idle: 1s}}}}
routes:
  - {{name: polite, match: {{host: polite, pathPrefix: /}}, upstream: {{service: other}}, policies: {{auth: none}}}}
  - {{name: all, match: {{pathPrefix: /}}, upstream: {{service: origin}}, policies: {{auth: none, timeoutMs: 30000}}}}
"""


def parse_arguments():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--only", default="", help="parts of names, separated by commas")
    ap.add_argument("--frames", type=int, default=100_000, help="frames of each flood (100000)")
    ap.add_argument("--stall", type=float, default=5.0, help="seconds of each stall (5)")
    ap.add_argument("--connections", type=int, default=100_000, help="that get to each stage and are dropped there (100000)")
    ap.add_argument("--seconds", type=float, default=300.0, help="of one flood or stage, at most (300)")
    ap.add_argument("--reactor", help="epoll or io_uring (default: the edge chooses)")
    return ap.parse_args()


# --- the edge ---------------------------------------------------------------------------

class Edge:
    def __init__(self, args, work, origin, other):
        self.plain, self.secure, self.mutual, self.admin = proxies.free_ports(4)
        self.work = work
        proxies.certificate(work)
        with open(f"{work}/edge.yaml", "w") as f:
            f.write(CONFIG.format(plain=self.plain, secure=self.secure, mutual=self.mutual, admin=self.admin, work=work,
                                  origin=origin, other=other))
        env = {"SPILLWAY_REACTOR": args.reactor} if args.reactor else {}
        command = [proxies.spillway_binary(), "run", "--config", f"{work}/edge.yaml", "--no-supervise"]
        self.server = bench.Server("edge", command, [self.plain, self.admin], None, env, f"{work}/edge.log")
        self.pid = self.server.proc.pid

    def cpu(self):
        """Seconds of all threads but the one that answers our own questions."""
        total = 0
        for task in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{task}/stat") as f:
                name, _, rest = f.read().rpartition(")")
            if not name.endswith("(admin"):
                fields = rest.split()
                total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")

    def resident(self):
        with open(f"/proc/{self.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:")) / 1024

    def descriptors(self):
        """What each open descriptor is, by its number."""
        found = {}
        for number in os.listdir(f"/proc/{self.pid}/fd"):
            with contextlib.suppress(OSError):
                found[number] = os.readlink(f"/proc/{self.pid}/fd/{number}")
        return found

    def more_descriptors(self, before, seconds=10):
        """Those that are there beside as many as before; the admin server may yet have to close our question's."""
        deadline = time.monotonic() + seconds
        while len(now := self.descriptors()) > len(before) and time.monotonic() < deadline:
            time.sleep(0.05)
        return [what for what in now.values() if what not in before.values()] if len(now) > len(before) else []

    def metrics(self):
        with socket.create_connection(("127.0.0.1", self.admin), 30) as s:
            s.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            parts = []
            while part := s.recv(1 << 16):
                parts.append(part)
        out = {}
        for line in b"".join(parts).decode().splitlines():
            name, _, value = line.rpartition(" ")
            if line.startswith("spillway_"):
                with contextlib.suppress(ValueError):
                    out[name] = float(value)
        return out

    def total(self, name, metrics=None):
        metrics = metrics or self.metrics()
        return sum(v for k, v in metrics.items() if k.startswith(name))

    def held(self):
        """What must be nothing once all clients are gone."""
        metrics = self.metrics()
        return {
            "connections": self.total('spillway_connections{side="downstream",peer=', metrics),
            "exchanges": self.total("spillway_exchanges_active", metrics),
            "blocks": self.total('spillway_buffer_blocks{state="used"}', metrics),
            "handshakes": self.total("spillway_tls_handshakes_active", metrics),
            "waiting": self.total("spillway_tls_handshakes_waiting", metrics),
            "pooled": self.total("spillway_upstream_pool_connections", metrics),
        }

    def shaken_off(self, seconds=60):
        """Waits until no connection with TLS is left; a polite client asks on, without."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            metrics = self.metrics()
            if not any(self.total(name, metrics) for name in (
                    'spillway_connections{side="downstream",peer="secure"}',
                    'spillway_connections{side="downstream",peer="mutual"}',
                    "spillway_tls_handshakes_active", "spillway_tls_handshakes_waiting")):
                return
            time.sleep(0.1)

    def quiet(self, seconds=60):
        """Waits until nothing is held; what is left after that."""
        deadline = time.monotonic() + seconds
        while True:
            left = {k: v for k, v in self.held().items() if v}
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.1)


def serve(listener):
    """The service: /hang says nothing, /large is 1 MiB, anything else is short."""
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    listener.setblocking(False)
    large = memoryview(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % MIB + b"x" * MIB)
    small = memoryview(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    unsent = {}

    def drop(s):
        selector.unregister(s)
        unsent.pop(s, None)
        s.close()

    while True:
        for key, events in selector.select():
            s = key.fileobj
            if s is listener:
                with contextlib.suppress(OSError):
                    new, _ = s.accept()
                    new.setblocking(False)
                    selector.register(new, selectors.EVENT_READ)
                continue
            try:
                if events & selectors.EVENT_READ:
                    data = s.recv(1 << 16)
                    if not data:
                        drop(s)
                        continue
                    # The edge asks once it has the answer before: there is no more than one unsent.
                    if b" /large HTTP/1.1" in data:
                        unsent[s] = large
                    elif b" / HTTP/1.1" in data:
                        unsent[s] = small
                if s in unsent:
                    unsent[s] = unsent[s][s.send(unsent[s]):]
                    if not unsent[s]:
                        del unsent[s]
                selector.modify(s, selectors.EVENT_READ | (selectors.EVENT_WRITE if s in unsent else 0))
            except BlockingIOError:
                pass
            except OSError:
                drop(s)


def ask(port, worst, count, active):
    """The polite client: a request every 20 ms while it is active; notes the worst answer, in seconds."""
    s = None
    while True:
        if not active.is_set() and s is not None:
            s.close()
            s = None
        active.wait()
        begun = time.monotonic()
        try:
            if s is None:
                s = socket.create_connection(("127.0.0.1", port), 30)
            s.sendall(b"GET / HTTP/1.1\r\nHost: polite\r\n\r\n")
            got = b""
            while not got.endswith(b"\r\n\r\nok"):
                part = s.recv(65536)
                if not part:
                    raise OSError("closed")
                got += part
        except OSError:
            # An answer that does not come is the worst one.
            worst.value = max(worst.value, 30.0)
            s = None
            time.sleep(0.02)
            continue
        with worst.get_lock():
            worst.value = max(worst.value, time.monotonic() - begun)
            count.value += 1
        time.sleep(0.02)


class Polite:
    def __init__(self, port):
        self.worst, self.count = multiprocessing.Value("d", 0.0), multiprocessing.Value("q", 0)
        self.active = multiprocessing.Event()
        self.process = multiprocessing.Process(target=ask, args=(port, self.worst, self.count, self.active), daemon=True)
        self.process.start()

    def begin(self):
        with self.worst.get_lock():
            self.worst.value, self.count.value = 0.0, 0
        self.active.set()

    def end(self):
        # One more answer than there were, so that one which hangs is seen.
        seen, deadline = self.count.value, time.monotonic() + 30
        while self.count.value <= seen and time.monotonic() < deadline:
            time.sleep(0.01)
        self.active.clear()
        return self.worst.value if self.count.value > seen else 30.0


# --- attacks ----------------------------------------------------------------------------

def goaway(data):
    """The code of the last GOAWAY in what came."""
    code, at = None, 0
    while at + 9 <= len(data):
        length = int.from_bytes(data[at:at + 3], "big")
        if data[at + 3] == 7 and at + 17 <= len(data):
            code = int.from_bytes(data[at + 13:at + 17], "big")
        at += 9 + length
    return code


def flood_once(edge, flood, payload):
    """One connection, until the edge ends it; the code of GOAWAY and the rounds that were sent."""
    data = b""
    with socket.create_connection(("127.0.0.1", edge.plain), 30) as s:
        s.settimeout(30)
        with contextlib.suppress(OSError):
            s.sendall(hostile.HELLO + flood.first)
            s.sendall(payload)
            s.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            while part := s.recv(1 << 16):
                data += part
    return goaway(data)


def connecting(edge, count=400):
    """CPU seconds of one connection that says hello and ends: of TCP and of a session, not of frames."""
    nothing = hostile.Flood("nothing", lambda i: b"")
    flood_once(edge, nothing, b"")
    edge.quiet()
    cpu = edge.cpu()
    for _ in range(count):
        flood_once(edge, nothing, b"")
    edge.quiet()
    return (edge.cpu() - cpu) / count


def run_flood(args, edge, polite, flood, connect):
    # Far more than any budget, and as much as fits a socket or two.
    payload = b"".join(flood.round(i) for i in range(min(flood.rounds, max(1, 600_000 // len(flood.round(1))))))
    name = "spillway_h2_frames_received_total"
    flood_once(edge, flood, payload)
    left = edge.quiet()
    before, memory, cpu = edge.total(name), edge.resident(), edge.cpu()
    polite.begin()
    codes, connections, peak = {}, 0, memory
    frames, end = 0, time.monotonic() + args.seconds
    while frames < args.frames and time.monotonic() < end:
        for _ in range(10):
            code = flood_once(edge, flood, payload)
            codes[code] = codes.get(code, 0) + 1
            connections += 1
        peak = max(peak, edge.resident())
        frames = edge.total(name) - before
    used = edge.cpu() - cpu
    worst = polite.end()
    left = edge.quiet()
    row = {"frames": int(frames), "connections": connections, "codes": codes,
           "cpu": max(0.0, used - connect * connections) / max(1, frames) * 100_000,
           "each": used / connections * 1000, "mib": peak - memory, "worst": worst, "left": left}
    row["missed"] = row["mib"] > GOAL_MIB or worst > GOAL_SECONDS or row["cpu"] > GOAL_CPU or bool(left)
    return row


def run_stall(args, edge, polite, stall):
    edge.quiet()
    memory, cpu = edge.resident(), edge.cpu()
    polite.begin()
    port = edge.secure if stall.secure else edge.plain
    sockets, ended, peak = [], 0, memory
    for _ in range(stall.connections):
        s = socket.socket()
        if not stall.reads:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", port))
        s.setblocking(False)
        with contextlib.suppress(OSError):
            s.send(stall.first)
        sockets.append(s)
    end = time.monotonic() + args.stall
    while time.monotonic() < end:
        began = time.monotonic()
        for s in sockets:
            with contextlib.suppress(OSError):
                if stall.drip:
                    s.send(stall.drip)
                if stall.reads:
                    s.recv(1 << 16)
        peak = max(peak, edge.resident())
        time.sleep(max(0.0, 0.02 - (time.monotonic() - began)))
    used, worst = edge.cpu() - cpu, polite.end()
    blocks = edge.total('spillway_buffer_blocks{state="used"}')
    for s in sockets:
        s.close()
    left = edge.quiet()
    mib = peak - memory
    row = {"connections": stall.connections, "cpu": used / args.stall, "mib": mib, "worst": worst, "left": left,
           "each": mib * 1024 / stall.connections, "blocks": int(blocks)}
    # 8 MiB is what one connection may cost; a thousand of them may not cost 8 MiB each.
    row["missed"] = mib > GOAL_MIB * stall.connections or worst > GOAL_SECONDS or bool(left)
    return row


# --- handshakes -------------------------------------------------------------------------

# What the edge counts when a client got as far as the stage says.
OPENED = "spillway_connections_opened_total"
FAILED = "spillway_tls_handshake_failures_total"
DONE = "spillway_tls_handshakes_total"


@dataclasses.dataclass
class Stage:
    name: str
    # Drops one connection there.
    drop: typing.Callable[["Client", socket.socket], None]
    counter: str = FAILED
    tls12: bool = False
    mutual: bool = False
    certificate: bool = False


class Client:
    """One process's contexts and words, made once."""

    def __init__(self, stage, work):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
        if stage.tls12:
            self.context.maximum_version = ssl.TLSVersion.TLSv1_2
        if stage.certificate:
            self.context.load_cert_chain(f"{work}/cert.pem", f"{work}/key.pem")
        self.hello = self.begin()[1].read()

    def begin(self):
        """A handshake in memory: its session, what it says and what it is to hear."""
        heard, said = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = self.context.wrap_bio(heard, said, server_hostname="localhost")
        with contextlib.suppress(ssl.SSLWantReadError):
            session.do_handshake()
        return session, said, heard

    def flights(self, s, count):
        """Sends so many flights of a handshake, and does not wait for what comes upon the last."""
        session, said, heard = self.begin()
        s.sendall(said.read())
        for _ in range(count - 1):
            while not said.pending:
                heard.write(s.recv(1 << 16))
                with contextlib.suppress(ssl.SSLWantReadError):
                    session.do_handshake()
            s.sendall(said.read())

    def whole(self, s):
        """All of a handshake, until the edge has said that it is through."""
        session, said, heard = self.begin()
        is_done = False
        while not is_done:
            s.sendall(said.read())
            part = s.recv(1 << 16)
            if not part:
                raise OSError("the edge has gone")
            heard.write(part)
            with contextlib.suppress(ssl.SSLWantReadError):
                session.do_handshake()
                is_done = True
        if said.pending:
            # In TLS 1.3 it judges our Finished now, and sends tickets or an alert.
            s.sendall(said.read())
            s.recv(1 << 16)


def without_share(hello):
    """The same ClientHello with no key share, which asks for HelloRetryRequest (RFC 8446 section 4.2.8)."""
    body = hello[9:]
    at = 34 + 1 + body[34]
    at += 2 + int.from_bytes(body[at:at + 2], "big")
    at += 1 + body[at]
    head, rest, kept = body[:at], body[at + 2:], b""
    while rest:
        kind, length = int.from_bytes(rest[:2], "big"), int.from_bytes(rest[2:4], "big")
        kept += b"\0\x33\0\2\0\0" if kind == 51 else rest[:4 + length]
        rest = rest[4 + length:]
    body = head + len(kept).to_bytes(2, "big") + kept
    return b"\x16\3\1" + (len(body) + 4).to_bytes(2, "big") + b"\1" + len(body).to_bytes(3, "big") + body


def say(*parts):
    """Sends the parts, each but the last one answered first."""
    def drop(client, s):
        for number, part in enumerate(parts):
            if number:
                s.recv(1 << 16)
            s.sendall(part(client))
    return drop


def hear(client, s):
    s.sendall(client.hello)
    s.recv(1 << 16)


def hear_retry(client, s):
    s.sendall(without_share(client.hello))
    # A ServerHello whose random value says what it is.
    if s.recv(1 << 16)[11:15] != b"\xcf\x21\xad\x74":
        raise RuntimeError("the edge sends no HelloRetryRequest")


STAGES = [
    Stage("after connect", lambda client, s: None, OPENED),
    Stage("after half a ClientHello", say(lambda c: c.hello[:len(c.hello) // 2])),
    Stage("after ClientHello", say(lambda c: c.hello)),
    Stage("after the server's flight", hear),
    Stage("after Finished", Client.whole, DONE),
    Stage("after HelloRetryRequest", hear_retry),
    Stage("after a second ClientHello", say(lambda c: without_share(c.hello), lambda c: c.hello)),
    Stage("TLS 1.2, after ClientHello", say(lambda c: c.hello), tls12=True),
    Stage("TLS 1.2, after the server's flight", hear, tls12=True),
    Stage("TLS 1.2, after the client's second flight", lambda c, s: c.flights(s, 2), DONE, tls12=True),
    Stage("TLS 1.2, after Finished", Client.whole, DONE, tls12=True),
    Stage("asked for a certificate", hear, mutual=True),
    Stage("with a certificate, after Finished", Client.whole, DONE, mutual=True, certificate=True),
    Stage("without the certificate", Client.whole, mutual=True),
    Stage("TLS 1.2, with a certificate, after Finished", Client.whole, DONE, tls12=True, mutual=True, certificate=True),
]


def drop_one(stage, client, port, resets, source):
    s = socket.create_connection(("127.0.0.1", port), 30, source_address=(source, 0))
    try:
        if resets:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stage.drop(client, s)
    except OSError:
        pass
    finally:
        s.close()


def drop_many(number, port, work, count, source):
    client = Client(STAGES[number], work)
    for i in range(count):
        drop_one(STAGES[number], client, port, i % 2 == 0, source)


def drop(edge, number, count, turn, processes=4):
    port = edge.mutual if STAGES[number].mutual else edge.secure
    # Ports in TIME_WAIT are each address's own.
    jobs = [multiprocessing.Process(target=drop_many, args=(number, port, edge.work, -(-count // processes),
                                                            f"127.{turn % 250 + 1}.{number + 1}.{process + 1}"))
            for process in range(processes)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    if any(job.exitcode for job in jobs):
        raise bench.BenchError(f"{STAGES[number].name}: the clients failed")


def run_stage(args, edge, polite, number):
    counter = STAGES[number].counter
    # What is allocated once is not what leaks.
    drop(edge, number, max(400, args.connections // 10), 0)
    edge.quiet()
    before, descriptors, cpu = edge.resident(), edge.descriptors(), edge.cpu()
    opened, counted = edge.total(OPENED), edge.total(counter)
    polite.begin()
    reached, turn, end = 0, 0, time.monotonic() + args.seconds
    # One that was reset before the edge looked at it did not get anywhere, and another one is sent for it.
    while reached < args.connections and time.monotonic() < end:
        turn += 1
        drop(edge, number, max(400, int(args.connections - reached)), turn)
        edge.shaken_off()
        reached = edge.total(counter) - counted
    used, worst, left = edge.cpu() - cpu, polite.end(), edge.quiet()
    reached, accepted = edge.total(counter) - counted, edge.total(OPENED) - opened
    mib = edge.resident() - before
    more = edge.more_descriptors(descriptors)
    if more:
        print(f"{STAGES[number].name}: descriptors left: {more}", file=sys.stderr)
        left["descriptors"] = len(more)
    return {"connections": int(accepted), "reached": int(reached), "cpu": used, "mib": mib, "worst": worst, "left": left,
            "missed": reached < args.connections or mib > GOAL_MIB or worst > GOAL_SECONDS or bool(left)}


# --- the table --------------------------------------------------------------------------

def told(codes):
    names = {None: "cut off", 0: "NO_ERROR", 1: "PROTOCOL_ERROR", 5: "STREAM_CLOSED", 6: "FRAME_SIZE_ERROR",
             9: "COMPRESSION_ERROR", 11: "ENHANCE_YOUR_CALM"}
    return ", ".join(f"{names.get(c, c)} {n}" for c, n in sorted(codes.items(), key=lambda x: -x[1]))


def line(*cells):
    print("| " + " | ".join(str(c) for c in cells) + " |", flush=True)


def mark(row):
    rest = ", ".join(f"{k} {int(v)} left" for k, v in row["left"].items())
    return ("MISSED " if row["missed"] else "met") + rest


def main():
    args = parse_arguments()
    only = [part.strip().lower() for part in args.only.split(",") if part.strip()]

    def wanted(name):
        return not only or any(part in name.lower() for part in only)

    missed = False
    with proxies.exit_with_message(), contextlib.ExitStack() as stack:
        work = stack.enter_context(tempfile.TemporaryDirectory())
        ports = []
        # The polite client's service is another one: the edge is judged, not a service that is kept busy.
        for _ in range(2):
            listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
            service = multiprocessing.Process(target=serve, args=(listener,), daemon=True)
            service.start()
            stack.callback(service.terminate)
            ports.append(listener.getsockname()[1])
            listener.close()
        edge = Edge(args, work, *ports)
        stack.callback(edge.server.stop)
        polite = Polite(edge.plain)
        stack.callback(polite.process.terminate)
        time.sleep(2)
        polite.begin()
        time.sleep(2)
        print(f"alone: worst answer {polite.end() * 1000:.0f} ms, {edge.resident():.1f} MiB resident\n")
        floods = [f for f in hostile.FLOODS if wanted(f.name)]
        if floods:
            connect = connecting(edge)
            print(f"a connection alone: {connect * 1000:.2f} ms of CPU, which is not counted as its frames'\n")
            line("flood", "frames", "connections", "CPU s per 100,000", "CPU ms per connection", "MiB more",
                 "polite, worst ms", "told", "")
            line(*["---"] * 9)
        for flood in floods:
            row = run_flood(args, edge, polite, flood, connect)
            missed |= row["missed"]
            line(flood.name, row["frames"], row["connections"], f"{row['cpu']:.2f}", f"{row['each']:.2f}",
                 f"{row['mib']:.1f}", f"{row['worst'] * 1000:.0f}", told(row["codes"]), mark(row))
        stalls = [s for s in hostile.STALLS if wanted(s.name)]
        if stalls:
            print()
            line("stall", "connections", "CPU of a core", "KiB each", "blocks held", "polite, worst ms", "")
            line(*["---"] * 7)
        for stall in stalls:
            row = run_stall(args, edge, polite, stall)
            missed |= row["missed"]
            line(stall.name, row["connections"], f"{row['cpu']:.2f}", f"{row['each']:.1f}", row["blocks"],
                 f"{row['worst'] * 1000:.0f}", mark(row))
        stages = [i for i, stage in enumerate(STAGES) if wanted("handshake " + stage.name)]
        if stages:
            print()
            line("dropped", "accepted", "got there", "CPU s", "MiB more", "polite, worst ms", "")
            line(*["---"] * 7)
        for stage in stages:
            row = run_stage(args, edge, polite, stage)
            missed |= row["missed"]
            line(STAGES[stage].name, row["connections"], row["reached"], f"{row['cpu']:.1f}", f"{row['mib']:.1f}",
                 f"{row['worst'] * 1000:.0f}", mark(row))
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
