#!/usr/bin/env python3
"""What an idle connection costs: the slope between two counts, and the cgroup's view of it.

    ./idle.py [--peers spillway,spillway-epoll,nginx] [--counts 4000,16000]

Each connection makes one request and stays. The slope is free of what a process needs anyway. The
cgroup also counts the kernel's part, such as socket buffers and what io_uring keeps for a request;
it needs root and a writable memory controller, and is left out where there is none.
"""
import argparse
import contextlib
import glob
import os
import socket
import subprocess
import sys
import tempfile
import time

import bench
import proxies

REQUEST = b"GET /reject HTTP/1.1\r\nHost: edge\r\n\r\n"


def parse_arguments():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--peers", default="spillway,spillway-epoll,nginx,haproxy")
    ap.add_argument("--counts", default="4000,16000")
    return ap.parse_args()


@contextlib.contextmanager
def cgroup():
    """A memory group of its own: its folder and the file that tells its use, or None."""
    for root, use in (("/sys/fs/cgroup/memory", "memory.usage_in_bytes"), ("/sys/fs/cgroup", "memory.current")):
        folder = f"{root}/spillway-idle-{os.getpid()}"
        if not os.path.exists(f"{root}/{use}") and use != "memory.current":
            continue
        try:
            os.mkdir(folder)
        except OSError:
            continue
        if os.path.exists(f"{folder}/{use}"):
            yield folder, use
            with contextlib.suppress(OSError):
                os.rmdir(folder)
            return
        os.rmdir(folder)
    yield None


def family(pid):
    """A process and its children."""
    found = [pid]
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        with open(path) as f:
            for child in f.read().split():
                found += family(int(child))
    return found


def pss(pid):
    total = 0
    for member in family(pid):
        with open(f"/proc/{member}/smaps_rollup") as f:
            total += sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
    return total * 1024


def open_connections(port, sockets, count):
    while len(sockets) < count:
        # Half the ports of one address are taken by a few thousand connections that linger.
        source = f"127.0.0.{2 + len(sockets) // 8000}"
        s = socket.create_connection(("127.0.0.1", port), 15, source_address=(source, 0))
        s.sendall(REQUEST)
        if not s.recv(4096).startswith(b"HTTP/1.1 503"):
            raise bench.BenchError("no reply")
        sockets.append(s)


def settled(read):
    """A figure once it stays: memory that is given back is given back late."""
    last = read()
    for _ in range(20):
        time.sleep(0.5)
        now = read()
        if abs(now - last) < 64 * 1024:
            return now
        last = now
    return last


def measure(peer, counts, group):
    command = [bench.fill(a, peer.values) for a in peer.command]
    env = {k: bench.fill(v, peer.values) for k, v in peer.env.items()}

    def enter():
        if group:
            with open(f"{group[0]}/cgroup.procs", "w") as f:
                f.write("0")

    with open(f"{peer.values['run_dir']}/log", "ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   env=dict(os.environ, **env), preexec_fn=enter)
    sockets = []

    def use():
        with open(f"{group[0]}/{group[1]}") as f:
            return int(f.read())

    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", peer.values["port"]), 1):
                break
            if process.poll() is not None:
                raise bench.BenchError(f"{peer.name} ended at start")
            time.sleep(0.05)
        rows = []
        for count in counts:
            open_connections(peer.values["port"], sockets, count)
            rows.append((settled(lambda: pss(process.pid)), settled(use) if group else 0))
        return rows
    finally:
        for s in sockets:
            s.close()
        process.terminate()
        process.wait(30)


def main():
    args = parse_arguments()
    counts = [int(c) for c in args.counts.split(",")]
    with contextlib.ExitStack() as stack:
        work = stack.enter_context(tempfile.TemporaryDirectory(prefix="idle-"))
        os.chmod(work, 0o755)
        upstream = proxies.start_upstream(stack, work)
        print(f"{'':16} {'PSS KiB/conn':>14} {'cgroup KiB/conn':>16}   between {counts[0]} and {counts[-1]} connections")
        for name in args.peers.split(","):
            binary = proxies.spillway_binary() if name.startswith("spillway") else None
            peer = proxies.find_peer(name, binary)
            if not peer:
                print(f"{name:16} not found, left out")
                continue
            proxies.prepare(peer, upstream, f"{work}/{name}")
            with cgroup() as group:
                rows = measure(peer, counts, group)
            kib = [(rows[-1][i] - rows[0][i]) / (counts[-1] - counts[0]) / 1024 for i in (0, 1)]
            seen = f"{kib[1]:16.2f}" if group else f"{'-':>16}"
            print(f"{name:16} {kib[0]:14.2f} {seen}", flush=True)
    return 0


if __name__ == "__main__":
    with proxies.exit_with_message():
        raise SystemExit(main())
