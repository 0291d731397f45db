#!/usr/bin/env python3
"""gRPC through the edge, with grpcio on both sides and raw bytes for messages.

    grpc_calls.py TARGET SERVICE-PORT [AUTHORITY]

This is the service on SERVICE-PORT, in cleartext, and the client of the edge at TARGET, over TLS where an
authority is named. Prints "ok N calls", or "bad: ..." and exits with 1.
"""
import concurrent.futures
import sys
import threading
import time

import grpc

STATUSES = list(grpc.StatusCode)
cancelled = threading.Event()
MEBIBYTE = 1 << 20


class Service(grpc.GenericRpcHandler):
    def service(self, details):
        unary, stream = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
        return {
            "/grpc/Echo": unary(lambda message, context: message),
            "/grpc/Fail": unary(self.fail),
            "/grpc/Sleep": unary(self.sleep),
            "/grpc/Metadata": unary(self.metadata),
            "/grpc/Down": stream(lambda message, context: (b"%d" % i for i in range(int(message)))),
            "/grpc/FailLate": stream(self.fail_late),
            "/grpc/Up": grpc.stream_unary_rpc_method_handler(
                lambda messages, context: b"%d" % sum(len(m) for m in messages)),
            "/grpc/Chat": grpc.stream_stream_rpc_method_handler(lambda messages, context: (m for m in messages)),
        }.get(details.method)

    def fail(self, message, context):
        context.abort(STATUSES[message[0]], "caf\u00e9 % \n line")

    def sleep(self, message, context):
        context.add_callback(cancelled.set)
        end = time.monotonic() + int(message)
        while time.monotonic() < end and context.is_active():
            time.sleep(0.02)
        return b"late"

    def metadata(self, message, context):
        given = dict(context.invocation_metadata())
        context.send_initial_metadata((("x-size", str(len(given.get("x-big", "")))),
                                       ("x-back-bin", given.get("x-some-bin", b""))))
        context.set_trailing_metadata((("x-trail", "t" * 2000),))
        return b"ok"

    def fail_late(self, message, context):
        yield b"one"
        context.abort(grpc.StatusCode.DATA_LOSS, "late")


def calls(channel):
    """Names, and what is true when the edge did its part."""
    def unary(method, message, **options):
        return channel.unary_unary("/grpc/" + method)(message, timeout=options.pop("timeout", 20), **options)

    def fails(method, message, status, **options):
        try:
            unary(method, message, **options)
        except grpc.RpcError as error:
            return error.code() == status and error
        return None

    yield "a message", lambda: unary("Echo", b"hello") == b"hello"
    yield "an empty message", lambda: unary("Echo", b"") == b""
    yield "3 MiB", lambda: len(unary("Echo", b"x" * 3 * MEBIBYTE)) == 3 * MEBIBYTE
    yield "gzip", lambda: unary("Echo", b"x" * 100_000, compression=grpc.Compression.Gzip) == b"x" * 100_000
    for number, status in enumerate(STATUSES):
        if number:
            yield f"status {status.name}", lambda n=number, s=status: fails("Fail", bytes([n]), s)
    yield "the words of a status", lambda: fails("Fail", b"\x03", STATUSES[3]).details() == "caf\u00e9 % \n line"
    yield "an unknown method", lambda: fails("None", b"", grpc.StatusCode.UNIMPLEMENTED)
    yield "a deadline", lambda: fails("Sleep", b"20", grpc.StatusCode.DEADLINE_EXCEEDED, timeout=0.5)

    def cancel():
        cancelled.clear()
        call = channel.unary_unary("/grpc/Sleep").future(b"20")
        time.sleep(0.3)
        call.cancel()
        return cancelled.wait(10)
    yield "a cancelled call ends at the service", cancel

    def metadata(size):
        given = (("x-big", "m" * size), ("x-some-bin", bytes(range(256))))
        _, call = channel.unary_unary("/grpc/Metadata").with_call(b"", metadata=given, timeout=20)
        first, last = dict(call.initial_metadata()), dict(call.trailing_metadata())
        return (first["x-size"], first["x-back-bin"], len(last["x-trail"])) == (str(size), bytes(range(256)), 2000)
    yield "metadata, binary ones and trailers", lambda: metadata(100)
    yield "6 kB of metadata", lambda: metadata(6000)
    yield "5,000 messages down", lambda: len(list(channel.unary_stream("/grpc/Down")(b"5000", timeout=30))) == 5000
    yield "2,000 messages up", lambda: channel.stream_unary("/grpc/Up")(
        (b"x" * 1000 for _ in range(2000)), timeout=30) == b"2000000"

    def chat():
        turns = [threading.Event() for _ in range(51)]
        turns[0].set()

        def say():
            for i in range(50):
                turns[i].wait(10)
                yield b"%d" % i
        heard = 0
        for _ in channel.stream_stream("/grpc/Chat")(say(), timeout=30):
            heard += 1
            turns[heard].set()
        return heard == 50
    yield "both ways in turns", chat

    def late():
        heard = []
        try:
            for message in channel.unary_stream("/grpc/FailLate")(b"", timeout=20):
                heard.append(message)
        except grpc.RpcError as error:
            return heard == [b"one"] and error.code() == grpc.StatusCode.DATA_LOSS
        return False
    yield "a failure behind a message", late

    def many():
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            return all(pool.map(lambda i: unary("Echo", b"%d" % i) == b"%d" % i, range(500)))
    yield "500 calls, 50 at once", many


def main():
    target, port = sys.argv[1], int(sys.argv[2])
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(60), handlers=[Service()],
                         options=[("grpc.max_receive_message_length", 16 * MEBIBYTE),
                                  ("grpc.max_metadata_size", 65536)])
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    options = [("grpc.max_receive_message_length", 16 * MEBIBYTE), ("grpc.max_metadata_size", 65536)]
    if len(sys.argv) > 3:
        with open(sys.argv[3], "rb") as file:
            channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(file.read()), options)
    else:
        channel = grpc.insecure_channel(target, options)
    count = 0
    for name, call in calls(channel):
        try:
            why = "" if call() else "wrong answer"
        except Exception as error:  # Whatever grpcio throws, it is this call that failed.
            why = f"{error.code().name} {error.details()}" if isinstance(error, grpc.RpcError) else repr(error)
        if why:
            print(f"bad: {name}: {why}", flush=True)
            server.stop(0)
            sys.exit(1)
        count += 1
    channel.close()
    server.stop(0)
    print(f"ok {count} calls")


main()
