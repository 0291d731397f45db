"""One proxy and one upstream on free ports, for the checks that count rather than time."""
import contextlib
import os
import shutil
import socket
import subprocess
import sys

import bench

HERE = bench.HERE
ROOT = os.path.dirname(HERE)


def free_ports(count):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


def compile_c(source, target, *flags):
    argv = [os.environ.get("CC", "cc"), "-O2", *flags, "-o", target, f"{HERE}/{source}"]
    said = subprocess.run(argv + ["-ldl"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if said.returncode:
        raise bench.BenchError(f"{source}: {said.stdout.strip()}")
    return target


def start_upstream(stack, work):
    port, = free_ports(1)
    compile_c("upstream.c", f"{work}/upstream")
    server = bench.Server("upstream", [f"{work}/upstream", str(port)], [port], None)
    stack.callback(server.stop)
    return port


def spillway_binary():
    """The release build, or what SPILLWAY_BIN names."""
    path = os.environ.get("SPILLWAY_BIN") or f"{ROOT}/.build/release/spillway"
    if not shutil.which(path):
        raise bench.BenchError(f"{path} is not there: swift build -c release --product spillway")
    return os.path.abspath(path)


def find_peer(name, binary=None):
    """A peer by its descriptor's name, or None when its binary is not found."""
    directory = HERE if name.startswith("spillway") else f"{HERE}/peers"
    peer = bench.Peer.load(f"{directory}/{name}.json")
    found = shutil.which(binary or peer.binary)
    if not found:
        return None
    peer.binary = os.path.abspath(found)
    return peer


def prepare(peer, upstream_port, run_dir):
    """Renders the peer's configuration; the ports are in peer.values."""
    port, tls_port = free_ports(2)
    certificate(os.path.dirname(run_dir))
    base = os.path.dirname(run_dir)
    peer.prepare(dict(upstream_port=upstream_port, h2_upstream_port=upstream_port, port=port,
                      tls_port=tls_port, cert=f"{base}/cert.pem", key=f"{base}/key.pem",
                      pem=f"{base}/both.pem"), run_dir)


def certificate(directory):
    """Peers with a TLS listener do not start without one."""
    if os.path.exists(f"{directory}/both.pem") or not shutil.which("openssl"):
        return
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-keyout", f"{directory}/key.pem", "-out", f"{directory}/cert.pem"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(f"{directory}/both.pem", "w") as out:
        for part in ("cert.pem", "key.pem"):
            with open(f"{directory}/{part}") as f:
                out.write(f.read())


@contextlib.contextmanager
def exit_with_message():
    try:
        yield
    except bench.BenchError as error:
        sys.exit(f"{os.path.basename(sys.argv[0])}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
