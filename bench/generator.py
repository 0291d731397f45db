#!/usr/bin/env python3
"""The load harness beside wrk and h2load: what a request costs it, how exact its sends and its figures are.

    ./generator.py                      everything
    ./generator.py --only speed,agree   of speed, timing, many, agree

speed    closed loop of 50 at one nginx that answers itself, in turns: requests per second of the tool's own
         CPU time (goal: 60 % of wrk's, and of h2load's)
timing   open loop at half of that rate: how late sends were (goal: p99 at most 1 ms)
many     10,000 connections, open before the first request, in turns (goal: nothing fails)
agree    the same closed loop at a service of 20 ms: rate and percentiles of all tools (goal: within 5 %)

The harness runs on one CPU and the server on the other. Exits 1 when a goal is missed. Needs nginx, wrk, h2load
and a release build of `loadtest`.
"""
import argparse
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import proxies

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NGINX = """\
daemon off; worker_processes 1; pid {work}/nginx.pid; error_log stderr crit;
events {{ worker_connections 16000; }}
http {{
    access_log off; keepalive_requests 1000000000; keepalive_timeout 1h;
    server {{ listen 127.0.0.1:{plain} backlog=4096; location / {{ return 200 "{body}"; }} }}
    server {{ listen 127.0.0.1:{h2} http2 backlog=4096; http2_max_concurrent_streams 256;
             location / {{ return 200 "{body}"; }} }}
}}
"""
BODY = "x" * 38
FAILURES = []


def wait_for(port):
    for _ in range(500):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise SystemExit(f"nothing listens on {port}")


def run(command, cpu):
    """What a command said, and its CPU seconds, on one CPU."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {cpu}),
    )
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return text, usage.ru_utime + usage.ru_stime, process.returncode


class Harness:
    def __init__(self, binary, work):
        self.binary, self.work = binary, work

    def __call__(self, port, protocol, arrivals, connections, load, seconds):
        scenario, report = f"{self.work}/scenario.yaml", f"{self.work}/report.json"
        with open(scenario, "w", encoding="utf-8") as file:
            file.write(
                f"arrivals: {arrivals}\nprotocol: {protocol}\nconnections: {connections}\nmaximumLag: 1s\n"
                f"phases: [{{name: all, load: {load}, for: {seconds}s}}]\n"
                "kinds: [{name: get, path: /, timeout: 20s, deadline: 20s}]\n"
            )
        if os.path.exists(report):
            os.remove(report)
        text, cpu, status = run(
            [self.binary, "run", scenario, "--target", f"http://127.0.0.1:{port}", "--json", report, "--quiet"], 0
        )
        if not os.path.exists(report):
            raise SystemExit(text)
        if status != 0:
            FAILURES.append(f"the harness ended with {status}: {text.strip().splitlines()[-1:]}")
        with open(report, encoding="utf-8") as file:
            found = json.load(file)
        whole = found["phases"][-1]["all"]
        return found["harness"], whole, cpu


def wrk(port, connections, seconds):
    text, cpu, _ = run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", f"http://127.0.0.1:{port}/"], 0
    )
    count = int(re.search(r"(\d+) requests in", text)[1])
    if re.search(r"Non-2xx|Socket errors", text):
        FAILURES.append("wrk: " + text)
    scale = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    latency = {
        name: float(value) * scale[unit]
        for name, value, unit in re.findall(r"(50|90|99)%\s+([\d.]+)(us|ms|s)", text)
    }
    return count, cpu, latency


def h2load(port, clients, streams, seconds):
    text, cpu, _ = run(
        ["h2load", "-t1", f"-c{clients}", f"-m{streams}", "-D", str(seconds), f"http://127.0.0.1:{port}/"], 0
    )
    done = int(re.search(r"requests: .*?(\d+) succeeded", text)[1])
    mean = re.search(r"time for request:\s+\S+\s+\S+\s+([\d.]+)(us|ms|s)", text)
    scale = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    return done, cpu, float(mean[1]) * scale[mean[2]]


def judge(name, found, goal, isMet):
    print(f"  {'met  ' if isMet else 'UNMET'} {name}: {found} (goal {goal})")
    if not isMet:
        FAILURES.append(name)


def speed(harness, ports, rounds):
    rates = {}
    for protocol, port in (("http1", ports[0]), ("h2", ports[1])):
        ours, theirs = [], []
        connections = 50 if protocol == "http1" else "{open: 1, most: 1, streams: 50}"
        for _ in range(rounds):
            _, whole, cpu = harness(port, protocol, "{closed: 50}", connections, "1/s", 3)
            ours.append(whole["good"] / cpu)
            done, cpu = (wrk(port, 50, 3) if protocol == "http1" else h2load(port, 1, 50, 3))[:2]
            theirs.append(done / cpu)
        other = "wrk" if protocol == "http1" else "h2load"
        share = statistics.median(ours) / statistics.median(theirs)
        print(f"speed {protocol}: harness {statistics.median(ours):,.0f}, {other} {statistics.median(theirs):,.0f} "
              "requests per second of its own CPU time")
        judge(f"speed {protocol}", f"{share:.2f} x {other}", "0.60", share >= 0.6)
        # What the goal asks for, of what is measured here.
        rates[protocol] = 0.6 * statistics.median(theirs)
    return rates


def timing(harness, ports, rates):
    for protocol, port in (("http1", ports[0]), ("h2", ports[1])):
        connections = "{open: 200, most: 1000}" if protocol == "http1" else "{open: 4, most: 8, streams: 100}"
        rate = round(rates[protocol] / 2)
        figures, whole, _ = harness(port, protocol, "poisson", connections, f"{rate}/s", 8)
        bad = whole["offered"] - whole["good"]
        print(f"timing {protocol}: {rate:,} requests/s, sent late by {figures['lagP50']:.3f} ms (p50), "
              f"{figures['lagP99']:.3f} (p99), {figures['lagMaximum']:.1f} at most; {bad} not answered well")
        judge(f"timing {protocol}", f"{figures['lagP99']:.3f} ms", "1 ms", figures["lagP99"] <= 1)


def many(harness, ports):
    figures, whole, _ = harness(ports[0], "http1", "poisson", "{open: 10000, most: 10000}", "10000/s", 10)
    bad = whole["offered"] - whole["good"]
    print(f"many: {figures['mostConnections']:,} connections, {whole['offered']:,} requests in turns, {bad} not "
          f"answered well, {figures['connectFailures']} connects failed, sent late by {figures['lagP99']:.2f} ms (p99)")
    judge("many", f"{figures['mostConnections']} connections", "10,000", figures["mostConnections"] >= 10_000 and not bad)


def agree(harness, ports):
    for protocol in ("http1", "h2"):
        connections = 50 if protocol == "http1" else "{open: 1, most: 1, streams: 50}"
        _, whole, _ = harness(ports[2], protocol, "{closed: 50}", connections, "1/s", 10)
        rate, latency = whole["good"] / 10, whole["latency"]
        if protocol == "http1":
            done, _, theirs = wrk(ports[2], 50, 10)
            pairs = [("rate", rate, done / 10)] + [
                (f"p{name}", latency[f"p{name}"], theirs[name]) for name in ("50", "90", "99")
            ]
        else:
            done, _, mean = h2load(ports[2], 1, 50, 10)
            pairs = [("rate", rate, done / 10), ("mean", latency["mean"], mean)]
        for name, ours, theirs in pairs:
            off = ours / theirs - 1
            judge(f"agree {protocol} {name}", f"{ours:.2f} and {theirs:.2f}, {off:+.1%}", "5 %", abs(off) <= 0.05)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="speed,timing,many,agree")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loadtest", default=f"{ROOT}/.build/release/loadtest")
    options = parser.parse_args()
    chosen = options.only.split(",")
    with tempfile.TemporaryDirectory() as work:
        ports = proxies.free_ports(4)
        with open(f"{work}/nginx.conf", "w", encoding="utf-8") as file:
            file.write(NGINX.format(work=work, plain=ports[0], h2=ports[1], body=BODY))
        service = [options.loadtest, "backend", "--workers", "40", "--service-time", "20ms",
                   "--port", str(ports[2]), "--control-port", str(ports[3])]
        pin = lambda: os.sched_setaffinity(0, {os.cpu_count() - 1})
        children = [
            subprocess.Popen(["nginx", "-e", "stderr", "-p", work, "-c", f"{work}/nginx.conf"], preexec_fn=pin),
            subprocess.Popen(service, preexec_fn=pin, stdout=subprocess.DEVNULL),
        ]
        try:
            for port in ports:
                wait_for(port)
            harness = Harness(options.loadtest, work)
            rates = {"http1": 30_000.0, "h2": 40_000.0}
            if "speed" in chosen:
                rates = speed(harness, ports, options.rounds)
            if "timing" in chosen:
                timing(harness, ports, rates)
            if "many" in chosen:
                many(harness, ports)
            if "agree" in chosen:
                agree(harness, ports)
        finally:
            for child in children:
                child.terminate()
                child.wait()
    for failure in FAILURES:
        print(f"failed: {failure}")
    sys.exit(1 if FAILURES else 0)


if __name__ == "__main__":
    main()
