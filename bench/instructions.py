#!/usr/bin/env python3
"""User-space instructions per proxied HTTP/1.1 request, counted by callgrind.

    ./instructions.py [--peers spillway-epoll,nginx,haproxy] [--requests 2000]

Each proxy runs twice under callgrind, once for N and once for 2N requests of 1 KiB over one
connection; the difference of the totals divided by N is free of start-up and shutdown.
"""
import argparse
import contextlib
import glob
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import bench
import proxies


def parse_arguments():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--peers", default="spillway-epoll,nginx,haproxy")
    ap.add_argument("--requests", type=int, default=8000)
    ap.add_argument("--path", default="/bytes/1024")
    ap.add_argument("--most", type=int, help="exit 1 when spillway-epoll takes more than this")
    return ap.parse_args()


def wait_for(port, process):
    """Under callgrind a proxy takes a while to listen."""
    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None:
            raise bench.BenchError("the proxy ended at start")
        time.sleep(0.1)
    raise bench.BenchError(f"nobody listens on port {port}")


def without_debug_information(binary, work):
    """A copy that valgrind can load: it ends at what the Swift compiler writes for debuggers."""
    copy = f"{work}/spillway"
    if not os.path.exists(copy):
        subprocess.run(["objcopy", "--strip-debug", binary, copy], check=True)
    return copy


def total(peer, requests, path, status, work):
    """Instructions of one whole run, over all processes of the proxy."""
    pattern = f"{work}/out/callgrind.{peer.name}.{requests}"
    command = [bench.fill(a, peer.values) for a in peer.command]
    env = {k: bench.fill(v, peer.values) for k, v in peer.env.items()}
    with open(f"{peer.values['run_dir']}/log", "ab") as log:
        process = subprocess.Popen(
            ["valgrind", "--tool=callgrind", "--trace-children=yes",
             f"--callgrind-out-file={pattern}.%p"] + command,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            # Seeded hashing makes the start cost something else each time.
            env=dict(os.environ, SWIFT_DETERMINISTIC_HASHING="1", **env))
    try:
        wait_for(peer.values["port"], process)
        said = subprocess.run(["h2load", "--h1", "-t1", "-c1", f"-n{requests}",
                               f"http://127.0.0.1:{peer.values['port']}{path}"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
        if f" {requests} {status // 100}xx" not in said:
            raise bench.BenchError(f"{peer.name}: {said[-300:]}")
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    count = 0
    for file in glob.glob(f"{pattern}.*"):
        with open(file) as f:
            count += sum(int(line.split()[1]) for line in f if line.startswith("totals:"))
    return count


def main():
    args = parse_arguments()
    for tool in ("valgrind", "h2load", "objcopy"):
        if not shutil.which(tool):
            raise bench.BenchError(f"{tool} not found")
    failed = False
    with contextlib.ExitStack() as stack:
        work = stack.enter_context(tempfile.TemporaryDirectory(prefix="instructions-"))
        os.chmod(work, 0o755)
        os.mkdir(f"{work}/out")
        os.chmod(f"{work}/out", 0o1777)      # nginx's worker writes as nobody
        upstream = proxies.start_upstream(stack, work)
        for name in args.peers.split(","):
            binary = None
            if name.startswith("spillway"):
                binary = without_debug_information(proxies.spillway_binary(), work)
            peer = proxies.find_peer(name, binary)
            if not peer:
                print(f"{name:16} not found, left out")
                continue
            counts = []
            for factor in (1, 2):
                proxies.prepare(peer, upstream, f"{work}/{name}.{factor}")
                counts.append(total(peer, args.requests * factor, args.path, 200, work))
            each = (counts[1] - counts[0]) / args.requests
            print(f"{name:16} {each:10.0f} instructions per request", flush=True)
            if args.most and name == "spillway-epoll" and each > args.most:
                print(f"more than {args.most}")
                failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    with proxies.exit_with_message():
        raise SystemExit(main())
