#!/usr/bin/env python3
"""Mixed traffic with faults; then the edge must be as empty as before.

    ./soak.py --requests 10000000            the whole criterion
    ./soak.py --requests 200000              a minute's worth

At once: h2load sends the bulk (up to 16 KiB) to a service that never fails, and every one of these
requests must succeed; asyncio clients send the odd ones (chunked, large, slow, aborted halfway) to a
service whose two processes are killed and started again in turn; the configuration is changed and
reloaded ten times a second. A warm-up with the same mix sets the baseline. Afterwards, gauges, open
descriptors and resident memory are compared with it. Exits 1 when anything was lost or leaked.
"""
import argparse
import asyncio
import collections
import contextlib
import http.client
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import bench
import proxies

KIB = 1024
# The clients that misbehave are a few percent, large bodies two: Python sends them slowly anyway.
ODD = [("get", 40), ("chunks", 15), ("post", 15), ("post-chunked", 12), ("head", 4), ("large", 1),
       ("large-post", 1), ("abort-request", 4), ("abort-response", 4), ("slow-reader", 2),
       ("half-head", 2)]

CONFIG = """\
listeners:
  - name: public
    address: 127.0.0.1:{port}
    connections: {{maximum: 8000, perAddress: 8000}}
admin: {{address: "127.0.0.1:{admin}"}}
workers: {workers}
stateDirectory: {work}/state
drain: {{grace: 100ms, deadline: 20s}}
accessLog: {{output: "file:{work}/access.log", sample: {{"2xx": 0.001, default: 0.01}}}}
services:
  - {{name: bulk, endpoints: ["127.0.0.1:{bulk}"], connections: {{maximum: 1024, idle: 2s}}}}
  - {{name: odd, endpoints: ["127.0.0.1:{odd_a}", "127.0.0.1:{odd_b}"], connections: {{maximum: 1024, idle: 2s}}}}
routes:
  - {{name: bulk, match: {{pathPrefix: /bulk}}, upstream: {{service: bulk}}, policies: {{auth: none, timeoutMs: {timeout}}}}}
  - {{name: odd, match: {{pathPrefix: /}}, upstream: {{service: odd}}, policies: {{auth: none, timeoutMs: 20000}}}}
"""


def parse_arguments():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--requests", type=int, default=200_000)
    ap.add_argument("--warm-up", type=int, help="requests before the baseline (default: 5 %% of them, at least 20000)")
    ap.add_argument("--clients", type=int, default=12, help="asyncio clients (12)")
    ap.add_argument("--connections", type=int, default=64, help="connections of h2load (64)")
    ap.add_argument("--workers", type=int, default=2)
    ap.add_argument("--reactor", help="epoll or io_uring (default: the edge chooses)")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--kill-every", type=float, default=2.0, help="seconds between two kill -9 (2)")
    ap.add_argument("--reload-every", type=float, default=0.1, help="seconds between two reloads (0.1)")
    ap.add_argument("--growth", type=float, default=8.0, help="MiB by which resident memory may grow (8)")
    ap.add_argument("--quiet", type=float, default=60.0, help="seconds to wait for quiet at most (60)")
    ap.add_argument("--demo", help="the demo service (default: the release build)")
    return ap.parse_args()


# --- the edge and what it says of itself ------------------------------------------------

class Edge:
    def __init__(self, args, work, bulk, odd):
        self.work = work
        self.port, self.admin = proxies.free_ports(2)
        self.values = dict(port=self.port, admin=self.admin, workers=args.workers, work=work,
                           bulk=bulk, odd_a=odd[0], odd_b=odd[1])
        os.makedirs(f"{work}/state", exist_ok=True)
        self.reloads = 0
        self.write_config()
        env = {"SPILLWAY_REACTOR": args.reactor} if args.reactor else {}
        command = [proxies.spillway_binary(), "run", "--config", f"{work}/edge.yaml", "--no-supervise"]
        self.server = bench.Server("edge", command, [self.port, self.admin], None, env, f"{work}/edge.log")
        self.process = self.server.proc

    def write_config(self):
        with open(f"{self.work}/edge.new", "w") as f:
            f.write(CONFIG.format(timeout=20000 + self.reloads % 1000, **self.values))
        os.replace(f"{self.work}/edge.new", f"{self.work}/edge.yaml")

    def reload(self):
        self.reloads += 1
        self.write_config()
        self.process.send_signal(signal.SIGHUP)

    def metrics(self):
        """{name: [(labels, value)]}"""
        conn = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=20)
        with contextlib.closing(conn):
            conn.request("GET", "/metrics", headers={"Connection": "close"})
            text = conn.getresponse().read().decode()
        out = collections.defaultdict(list)
        for line in text.splitlines():
            m = re.match(r"([a-zA-Z_:][\w:]*)(\{.*\})? (\S+)", line)
            if m:
                out[m[1]].append((m[2] or "", float(m[3])))
        return out

    def state(self):
        """What must be the same when nobody asks anything."""
        metrics = self.metrics()

        def total(name, *labels):
            values = [v for l, v in metrics.get(name, []) if all(x in l for x in labels)]
            if name not in metrics:
                raise bench.BenchError(f"the edge has no metric {name}")
            return int(sum(values))
        opened, closed = (total(f"spillway_connections_{w}_total") for w in ("opened", "closed"))
        return {
            "connections downstream": total("spillway_connections", 'side="downstream"'),
            "connections upstream": total("spillway_connections", 'side="upstream"'),
            "opened less closed": opened - closed,
            "exchanges": total("spillway_exchanges_active"),
            "blocks in use": total("spillway_buffer_blocks", 'state="used"'),
            "pool, busy": total("spillway_upstream_pool_connections", 'state="busy"'),
            "pool, idle": total("spillway_upstream_pool_connections", 'state="idle"'),
            "descriptors": len(os.listdir(f"/proc/{self.process.pid}/fd")),
        }

    def resident(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:")) / KIB

    def quiet(self, args, wanted=None):
        """Waits until nothing is in use any more (or until it is as `wanted`) and stays so."""
        deadline = time.monotonic() + args.quiet
        previous = None
        while True:
            state = self.state()
            rest = {k: v for k, v in state.items() if k != "descriptors"}
            if not any(rest.values()) and state == (wanted or previous):
                return state
            if time.monotonic() > deadline:
                return state
            previous = state
            time.sleep(0.5)


class Victims:
    """Two processes of the demo service; one of them at a time may be dead."""

    def __init__(self, binary, ports):
        self.binary, self.ports, self.kills = binary, ports, 0
        self.processes = [self.start(p) for p in ports]

    def start(self, port):
        return subprocess.Popen([self.binary, "--port", str(port), "--name", f"odd-{port}"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    async def kill_in_turn(self, every):
        turn = 0
        while True:
            await asyncio.sleep(every)
            self.processes[turn].kill()
            self.processes[turn].wait()
            self.kills += 1
            await asyncio.sleep(every / 4)
            self.processes[turn] = self.start(self.ports[turn])
            turn = 1 - turn

    def stop(self):
        for p in self.processes:
            p.kill()
            p.wait()


# --- traffic ------------------------------------------------------------------------------

class Odd:
    """One asyncio client: a connection kept as long as it lasts."""

    def __init__(self, port, seed, tally):
        self.port, self.tally = port, tally
        self.random = random.Random(seed)
        self.reader = self.writer = None

    async def run(self, is_over):
        kinds, weights = zip(*ODD)
        while not is_over():
            kind = self.random.choices(kinds, weights)[0]
            try:
                if not self.writer:
                    self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
                await asyncio.wait_for(self.one(kind), 60)
            except asyncio.TimeoutError:
                self.tally["hung: " + kind] += 1
                self.drop()
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
                # The process behind it was killed in the middle of an answer.
                self.tally["cut off"] += 1
                self.drop()
        self.drop()

    def drop(self):
        if self.writer:
            self.writer.transport.abort()
        self.reader = self.writer = None

    def size(self):
        return int(self.random.paretovariate(0.7) * 40) % (16 * KIB)

    def head(self, method, path, *fields):
        self.writer.write("\r\n".join((f"{method} {path} HTTP/1.1", "Host: soak", *fields, "", "")).encode())

    async def one(self, kind):
        size = self.random.randrange(KIB * KIB, 10 * KIB * KIB) if kind.startswith("large") else self.size()
        if kind in ("get", "large"):
            self.head("GET", f"/bytes/{size}")
            await self.answer(kind, size)
        elif kind == "head":
            self.head("HEAD", f"/bytes/{size}")
            await self.answer(kind, 0, method="HEAD")
        elif kind == "chunks":
            count = self.random.randrange(40)
            self.head("GET", f"/chunks/{count}")
            await self.answer(kind, count * 1000)
        elif kind in ("post", "large-post"):
            self.head("POST", "/echo", f"Content-Length: {size}")
            await self.upload(size)
            await self.answer(kind, None, echoed=size)
        elif kind == "post-chunked":
            self.head("POST", "/echo", "Transfer-Encoding: chunked")
            sent = 0
            for _ in range(self.random.randrange(1, 9)):
                piece = self.random.randrange(1, 3000)
                self.writer.write(b"%x\r\n" % piece + b"c" * piece + b"\r\n")
                sent += piece
                if self.random.random() < 0.3:
                    await asyncio.sleep(0)
            self.writer.write(b"0\r\n\r\n")
            await self.answer(kind, None, echoed=sent)
        elif kind == "slow-reader":
            self.head("GET", f"/bytes/{256 * KIB}")
            for turn in range(8):
                some = await self.reader.read(4 * KIB)
                if turn == 0 and not some.startswith(b"HTTP/1.1 200"):
                    # The service was killed: a short reply of the edge, and nothing behind it.
                    self.tally[f"status {some[9:12].decode()}"] += 1
                    return self.drop()
                await asyncio.sleep(0.02)
            self.gone(kind)
        elif kind == "abort-request":
            self.head("POST", "/echo", "Content-Length: 100000")
            self.writer.write(b"a" * self.random.randrange(1, 50000))
            await asyncio.sleep(self.random.choice((0, 0, 0.005)))
            self.gone(kind)
        elif kind == "abort-response":
            self.head("GET", f"/bytes/{self.random.choice((100, 100000, 5 << 20))}")
            await self.reader.read(self.random.randrange(1, 20000))
            self.gone(kind)
        elif kind == "half-head":
            self.writer.write(b"GET /bytes/100 HTTP/1.1\r\nHost: so")
            await asyncio.sleep(0)
            self.gone(kind)

    def gone(self, kind):
        self.tally[kind] += 1
        self.drop()

    async def upload(self, size):
        piece = b"u" * (64 * KIB)
        while size > 0:
            self.writer.write(piece[:size])
            size -= len(piece)
            await self.writer.drain()

    async def answer(self, kind, size, method="GET", echoed=None):
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split(" ")[1])
        fields = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
        body = b""
        length = 0
        if method != "HEAD":
            if fields.get("transfer-encoding") == "chunked":
                while True:
                    count = int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16)
                    await self.reader.readexactly(count + 2)
                    length += count
                    if not count:
                        break
            else:
                length = left = int(fields["content-length"])
                while left:
                    got = await self.reader.read(min(left, 256 * KIB))
                    if not got:
                        raise asyncio.IncompleteReadError(b"", left)
                    left -= len(got)
                    if length < 4 * KIB:
                        body += got
        if fields.get("connection", "").lower() == "close":
            self.drop()
        if status in (502, 503, 504):
            self.tally[f"status {status}"] += 1
        elif status != 200:
            self.tally[f"WRONG status {status} to {kind}"] += 1
        elif size is not None and length != size:
            self.tally[f"WRONG length to {kind}"] += 1
        elif echoed is not None and f'"bodyBytes":{echoed}}}'.encode() not in body:
            self.tally[f"WRONG echo to {kind}"] += 1
        else:
            self.tally[kind] += 1


async def bulk(edge, args, requests, tally):
    """h2load in slices; a request that does not succeed is lost."""
    urls = f"{edge.work}/urls"
    sizes = random.Random(args.seed)
    with open(urls, "w") as f:
        for _ in range(200):
            f.write(f"http://127.0.0.1:{edge.port}/bulk/x/bytes/{sizes.choice((0, 100, 1024, 1024, 4096, 16384))}\n")
    left = requests
    while left > 0:
        count = max(min(left, 200_000), args.connections)
        process = await asyncio.create_subprocess_exec(
            "h2load", "--h1", "-t1", f"-c{args.connections}", f"-n{count}", "-i", urls,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = (await process.communicate())[0].decode()
        m = re.search(r"status codes: (\d+) 2xx", said)
        good = int(m[1]) if m else 0
        tally["bulk"] += good
        if good != count:
            tally["LOST bulk"] += count - good
            print(said[-600:], file=sys.stderr)
        left -= count


async def reload_again_and_again(edge, every):
    while True:
        await asyncio.sleep(every)
        edge.reload()


async def traffic(edge, victims, args, requests, seed):
    tally = collections.Counter()
    over = False
    odd_least = max(requests // 200, 200)
    clients = [asyncio.create_task(Odd(edge.port, f"{seed}/{i}", tally).run(
        lambda: over and sum(tally.values()) - tally["bulk"] >= odd_least)) for i in range(args.clients)]
    others = [asyncio.create_task(victims.kill_in_turn(args.kill_every)),
              asyncio.create_task(reload_again_and_again(edge, args.reload_every))]
    await bulk(edge, args, requests, tally)
    over = True
    await asyncio.gather(*clients)
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for i, process in enumerate(victims.processes):
        if process.poll() is not None:
            victims.processes[i] = victims.start(victims.ports[i])
    return tally


# --- the verdict --------------------------------------------------------------------------

def report(tally, before, after, memory, args):
    print("\nrequests")
    for name, count in sorted(tally.items()):
        print(f"  {name:34}{count:12}")
    print(f"\n  {'':34}{'before':>12}{'after':>12}")
    leaks = []
    for name in before:
        mark = "" if before[name] == after[name] else "  LEAK"
        if mark:
            leaks.append(name)
        print(f"  {name:34}{before[name]:12}{after[name]:12}{mark}")
    grown = memory[1] - memory[0]
    mark = "  LEAK" if grown > args.growth else ""
    if mark:
        leaks.append("resident memory")
    print(f"  {'resident memory, MiB':34}{memory[0]:12.1f}{memory[1]:12.1f}{mark}")
    wrong = [name for name in tally if name.startswith(("LOST", "WRONG", "hung"))]
    return wrong, leaks


def main():
    args = parse_arguments()
    if not shutil.which("h2load"):
        raise bench.BenchError("h2load not found (Debian: nghttp2-client)")
    demo = args.demo or os.path.join(os.path.dirname(proxies.spillway_binary()), "demo")
    with contextlib.ExitStack() as stack:
        work = stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-"))
        bulk_port = proxies.start_upstream(stack, work)
        victims = Victims(demo, proxies.free_ports(2))
        stack.callback(victims.stop)
        edge = Edge(args, work, bulk_port, victims.ports)
        stack.callback(edge.server.stop)

        started = time.monotonic()
        asyncio.run(traffic(edge, victims, args, args.warm_up or max(args.requests // 20, 20_000), args.seed))
        before, memory = edge.quiet(args), [edge.resident()]
        print(f"warm after {time.monotonic() - started:.0f} s: {memory[0]:.1f} MiB resident", flush=True)
        tally = asyncio.run(traffic(edge, victims, args, args.requests, args.seed + 1))
        after = edge.quiet(args, before)
        memory.append(edge.resident())
        wrong, leaks = report(tally, before, after, memory, args)
        print(f"\n  {sum(tally.values())} requests, {edge.reloads} reloads, {victims.kills} kills, "
              f"{time.monotonic() - started:.0f} s, seed {args.seed}")
        if any(v for k, v in before.items() if k != "descriptors"):
            leaks.append("not quiet after the warm-up")

        edge.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            edge.process.wait(30)
        if edge.process.poll() != 0:
            wrong.append(f"the edge ended with {edge.process.poll()} after SIGTERM")
            print(edge.server.tail(), file=sys.stderr)
        for problem in wrong + leaks:
            print(f"soak: {problem}", file=sys.stderr)
        return 1 if wrong or leaks else 0


if __name__ == "__main__":
    with proxies.exit_with_message():
        raise SystemExit(main())
