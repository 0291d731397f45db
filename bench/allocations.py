#!/usr/bin/env python3
"""Heap allocations per proxied HTTP/1.1 request in steady state, counted by a preloaded library.

    ./allocations.py [--requests 10000] [--most 0.01] [--reactor epoll] [--trace]

Over kept connections the same requests are sent again and again. The first burst fills pools and
caches; then a burst of N and one of 3N requests are counted, and the difference divided by 2N is
free of what happens once. What happens with time, such as the look at certificates and at memory
every second, is counted before while nothing is asked, and taken off for the time that the bursts
differ by. Exits 1 when what is left is over --most.
"""
import argparse
import contextlib
import mmap
import os
import socket
import struct
import sys
import tempfile
import time

import bench
import proxies

WORDS = 6                 # malloc, calloc, realloc, aligned, bytes, how many to show
SHOW = 5                  # the index of that last word
CONNECTIONS = 8
CALM_SECONDS = 6          # what happens every second, or every other one, is there some times
CALM_PAUSE = 0.2          # between two requests meanwhile: what limits learn is saved when it has changed

# What is sent in turns: name, and requests with the bytes of body that each is answered with.
KINDS = [
    ("get", [(b"GET /bytes/1024 HTTP/1.1\r\nHost: edge\r\nUser-Agent: check\r\nAccept: */*\r\n\r\n", 1024)]),
    ("post", [(b"POST /bytes/100 HTTP/1.1\r\nHost: edge\r\nContent-Length: 512\r\n\r\n" + b"p" * 512, 100)]),
    ("large", [(b"GET /bytes/100000 HTTP/1.1\r\nHost: edge\r\n\r\n", 100000)]),
    ("reject", [(b"GET /reject HTTP/1.1\r\nHost: edge\r\n\r\n", 5)]),
    # By host, wildcard, regular expression, method, field and query, and one path that is rewritten
    # before: a seventh of an allocation per request is one per lookup of its kind.
    ("lookup", [
        (b"GET /a HTTP/1.1\r\nHost: API.example.com:80\r\n\r\n", 1),
        (b"GET /a HTTP/1.1\r\nHost: a.b.example.com\r\n\r\n", 2),
        (b"GET /v12/carts/4711-x HTTP/1.1\r\nHost: edge\r\n\r\n", 3),
        (b"DELETE /by/x HTTP/1.1\r\nHost: edge\r\n\r\n", 4),
        (b"GET /by/x HTTP/1.1\r\nHost: edge\r\nX-Any: y\r\nX-Beta: 1\r\n\r\n", 5),
        (b"GET /by/x?a=b&any&v=%32 HTTP/1.1\r\nHost: edge\r\n\r\n", 6),
        (b"GET //v1/../v2/./orders/%61 HTTP/1.1\r\nHost: edge\r\n\r\n", 3),
    ]),
]


def parse_arguments():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--requests", type=int, default=10000)
    ap.add_argument("--most", type=float, default=0.01, help="allocations per request (0.01)")
    ap.add_argument("--reactor", help="epoll or io_uring (default: both, as far as the kernel allows)")
    ap.add_argument("--kinds", help=f"of {','.join(k[0] for k in KINDS)}")
    ap.add_argument("--peer", help="measure another peer, to see that the check can fail (nginx, haproxy)")
    ap.add_argument("--trace", action="store_true", help="show where the first allocations come from")
    return ap.parse_args()


class Client:
    """A few kept connections that take turns."""

    def __init__(self, port):
        self.sockets = [socket.create_connection(("127.0.0.1", port), 20) for _ in range(CONNECTIONS)]
        self.files = [s.makefile("rb", 1 << 16) for s in self.sockets]

    def send(self, requests, count):
        for i in range(count):
            at = i % CONNECTIONS
            request, size = requests[i % len(requests)]
            self.sockets[at].sendall(request)
            length = self.read_head(self.files[at])
            if length != size or len(self.files[at].read(length)) != length:
                raise bench.BenchError(f"{length} bytes came instead of {size} to {request[:60]!r}")

    @staticmethod
    def read_head(file):
        length = None
        status = file.readline()
        if not status.startswith(b"HTTP/1.1 "):
            raise bench.BenchError(f"no answer but {status!r}")
        while True:
            line = file.readline()
            if line in (b"\r\n", b""):
                return length
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)

    def close(self):
        for s in self.sockets:
            s.close()


class Counter:
    """The preloaded library's words."""

    def __init__(self, path):
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), WORDS * 8)

    def read(self):
        return struct.unpack(f"={WORDS}Q", self.map[:WORDS * 8])

    def calls(self):
        return sum(self.read()[:4])

    def show(self, count):
        self.map[SHOW * 8:WORDS * 8] = struct.pack("=Q", count)


def calm_rate(peer, counter):
    """Allocations per second of a proxy that has next to nothing to do."""
    client = Client(peer.values["port"])
    try:
        before, start = counter.calls(), time.monotonic()
        while time.monotonic() - start < CALM_SECONDS:
            client.send(KINDS[0][1], 1)
            time.sleep(CALM_PAUSE)
        return (counter.calls() - before) / (time.monotonic() - start)
    finally:
        client.close()


def measure(peer, kinds, args, work, library):
    """{kind: allocations per request} of one freshly started proxy."""
    counts_file = f"{work}/counts"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(counts_file)
    peer.env = dict(peer.env, LD_PRELOAD=library, MALLOC_COUNT_FILE=counts_file)
    server = peer.start(None)
    try:
        counter = Counter(counts_file)
        if counter.calls() == 0:
            raise bench.BenchError("nothing was counted: the library was not loaded")
        # The start is over by then: names, certificates, the first look at everything.
        time.sleep(1)
        rate = calm_rate(peer, counter)
        out = {}
        for name, requests in kinds:
            client = Client(peer.values["port"])
            try:
                client.send(requests, args.requests // 2)
                marks = [counter.calls()]
                times = [time.monotonic()]
                for factor in (1, 3):
                    if args.trace and factor == 3:
                        counter.show(8)
                    client.send(requests, args.requests * factor)
                    counter.show(0)
                    marks.append(counter.calls())
                    times.append(time.monotonic())
            finally:
                client.close()
            # Negative means that the shorter burst met more of what comes with time.
            more = (marks[2] - marks[1]) - (marks[1] - marks[0])
            more -= rate * ((times[2] - times[1]) - (times[1] - times[0]))
            out[name] = max(0.0, more / (2 * args.requests))
        return out
    finally:
        server.stop()
        if args.trace:
            with open(f"{peer.values['run_dir']}/log", errors="replace") as f:
                sys.stderr.write(f.read())


def main():
    args = parse_arguments()
    kinds = [k for k in KINDS if not args.kinds or k[0] in args.kinds.split(",")]
    reactors = [args.reactor] if args.reactor else ["epoll", "io_uring"]
    names = [args.peer] if args.peer else ["spillway-epoll" if r == "epoll" else "spillway" for r in reactors]
    failed = False
    with contextlib.ExitStack() as stack:
        work = stack.enter_context(tempfile.TemporaryDirectory(prefix="allocations-"))
        os.chmod(work, 0o755)
        library = proxies.compile_c("malloc_count.c", f"{work}/malloc_count.so", "-shared", "-fPIC")
        upstream = proxies.start_upstream(stack, work)
        for name in names:
            peer = proxies.find_peer(name, None if args.peer else proxies.spillway_binary())
            if not peer:
                raise bench.BenchError(f"{name} not found")
            if peer.env.get("SPILLWAY_REACTOR") == "io_uring" and not args.reactor and not has_io_uring():
                print(f"{name:16} skipped: this kernel forbids io_uring")
                continue
            if args.peer:
                kinds = [k for k in kinds if k[0] != "lookup"]  # its configuration has no such routes
            else:
                peer.config = f"{bench.HERE}/allocations.yaml.in"
            proxies.prepare(peer, upstream, f"{work}/{name}")
            for kind, each in measure(peer, kinds, args, work, library).items():
                verdict = "" if each <= args.most else f"   more than {args.most}"
                failed = failed or bool(verdict)
                print(f"{name:16} {kind:8} {each:8.4f} allocations per request{verdict}", flush=True)
    return 1 if failed else 0


def has_io_uring():
    """Whether io_uring_setup exists and is allowed: it fails on a null argument otherwise too."""
    import ctypes
    import errno
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(425, 1, None)
    return ctypes.get_errno() not in (errno.ENOSYS, errno.EPERM, errno.EACCES)


if __name__ == "__main__":
    with proxies.exit_with_message():
        raise SystemExit(main())
