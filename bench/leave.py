#!/usr/bin/env python3
"""Leaving under load: no client that honours `connection: close` may lose a request.

    ./leave.py [--rounds 5] [--clients 64] [--reactor epoll]

Each round starts a supervised edge, puts it under load, reloads it every 100 ms, upgrades it
(SIGUSR2) and, while requests run, ends it with SIGTERM. Every request that was sent must get its
whole answer, and until SIGTERM nobody may be refused. A connection that is refused after SIGTERM
ends its client: the port is free then. Exits 1 when a request was lost.
"""
import argparse
import asyncio
import collections
import contextlib
import os
import signal
import sys
import tempfile
import time

import bench
import proxies

CONFIG = """\
listeners:
  - {{name: public, address: "127.0.0.1:{port}", connections: {{maximum: 4000, perAddress: 4000}}}}
admin: {{address: "127.0.0.1:{admin}"}}
workers: 2
stateDirectory: {work}/state
drain: {{grace: 300ms, deadline: 20s}}
accessLog: {{output: off}}
services: [{{name: origin, endpoints: ["127.0.0.1:{upstream}"]}}]
routes:
  - {{name: all, match: {{pathPrefix: /}}, upstream: {{service: origin}}, policies: {{auth: none, timeoutMs: {timeout}}}}}
"""
PATHS = ["/bytes/100", "/bytes/16000", "/bytes/400000", "/delay/5ms/bytes/2000", "/delay/80ms/bytes/100"]


def parse_arguments():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--clients", type=int, default=64)
    ap.add_argument("--reactor", help="epoll or io_uring (default: the edge chooses)")
    return ap.parse_args()


class Round:
    def __init__(self, args, work, upstream):
        self.work, self.upstream = work, upstream
        self.port, self.admin = proxies.free_ports(2)
        self.reloads = 0
        self.leaving = False
        self.tally = collections.Counter()
        os.makedirs(f"{work}/state", exist_ok=True)
        self.write_config()
        env = {"SPILLWAY_REACTOR": args.reactor} if args.reactor else {}
        command = [proxies.spillway_binary(), "run", "--config", f"{work}/edge.yaml"]
        self.server = bench.Server("edge", command, [self.port, self.admin], None, env, f"{work}/edge.log")
        self.process = self.server.proc

    def write_config(self):
        self.reloads += 1
        with open(f"{self.work}/edge.new", "w") as f:
            f.write(CONFIG.format(port=self.port, admin=self.admin, work=self.work,
                                  upstream=self.upstream, timeout=10000 + self.reloads % 1000))
        os.replace(f"{self.work}/edge.new", f"{self.work}/edge.yaml")

    async def client(self, number):
        reader = writer = None
        count = number
        while True:
            if writer is None:
                try:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    if not self.leaving:
                        self.tally["LOST: refused"] += 1
                        continue
                    return
            count += 1
            path = PATHS[count % len(PATHS)]
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: leave\r\n\r\n".encode())
                head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)).decode().lower()
                length = int(head.split("content-length: ")[1].split("\r\n")[0])
                await asyncio.wait_for(reader.readexactly(length), 30)
            except (OSError, asyncio.IncompleteReadError) as error:
                self.tally[f"LOST: {type(error).__name__}"] += 1
                return
            except asyncio.TimeoutError:
                self.tally["LOST: no answer"] += 1
                return
            self.tally[head.split()[1]] += 1
            if "connection: close" in head:
                writer.close()
                writer = None

    async def play(self, args):
        clients = [asyncio.create_task(self.client(i)) for i in range(args.clients)]
        start = time.monotonic()
        while time.monotonic() - start < 4:
            await asyncio.sleep(0.1)
            self.write_config()
            self.process.send_signal(signal.SIGHUP)
            if self.reloads == 12:
                self.process.send_signal(signal.SIGUSR2)
        self.leaving = True
        self.process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(asyncio.gather(*clients), 60)
        with contextlib.suppress(Exception):
            self.process.wait(30)
        if self.process.poll() != 0:
            self.tally[f"LOST: the edge ended with {self.process.poll()}"] += 1


def main():
    args = parse_arguments()
    failed = False
    with contextlib.ExitStack() as stack:
        work = stack.enter_context(tempfile.TemporaryDirectory(prefix="leave-"))
        upstream = proxies.start_upstream(stack, work)
        for number in range(args.rounds):
            os.mkdir(f"{work}/{number}")
            this = Round(args, f"{work}/{number}", upstream)
            stack.callback(this.server.stop)
            asyncio.run(this.play(args))
            print(f"round {number + 1}: {this.reloads} reloads, {dict(this.tally)}", flush=True)
            lost = [k for k in this.tally if k.startswith("LOST")]
            if lost:
                failed = True
                print(this.server.tail(), file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    with proxies.exit_with_message():
        raise SystemExit(main())
