#!/usr/bin/env python3
"""WebSockets through the edge with the package `websockets`, and handshakes by hand.

    websocket_calls.py serve PORT                     the service, until it is ended
    websocket_calls.py call URL [AUTHORITY]           the client; prints "ok N", or "bad: ..." and exits with 1

Paths of the service begin with /ws: /ws/echo, and others that end in a way of their own.
"""
import asyncio
import base64
import logging
import os
import ssl
import sys
import urllib.parse

import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

logging.getLogger("websockets").setLevel(logging.CRITICAL)
MEBIBYTE = 1 << 20


# --- the service --------------------------------------------------------------------------

left = 0


async def handle(socket):
    global left
    path = socket.request.path
    try:
        if path == "/ws/close":
            await socket.close(4001, "bye")
        elif path == "/ws/burst":
            for i in range(2000):
                await socket.send(f"m{i}")
        elif path == "/ws/drop":
            socket.transport.abort()
        elif path == "/ws/left":
            await socket.send(str(left))
        else:
            async for message in socket:
                await socket.send(message)
    finally:
        if path == "/ws/leave":
            left += 1


def judge(connection, request):
    if request.path == "/ws/deny":
        return connection.respond(403, "no")
    return None


async def run_service(port):
    def choose(connection, offered):
        return "a" if "a" in offered else None
    async with serve(handle, "127.0.0.1", port, process_request=judge, select_subprotocol=choose, max_size=None):
        await asyncio.get_running_loop().create_future()


# --- the client ---------------------------------------------------------------------------

def calls(url, context):
    options = {"proxy": None, "ssl": context}

    async def echo(messages, **more):
        async with connect(url + "/ws/echo", max_size=None, **options, **more) as socket:
            for message in messages:
                await socket.send(message)
                if await socket.recv() != (message if isinstance(message, (str, bytes)) else "".join(message)):
                    return False
        return True
    yield "text", lambda: echo(["hi", "", "h\u00e9llo"])
    yield "bytes", lambda: echo([bytes(range(256)), b""])
    yield "lengths around the frame's own", lambda: echo([b"x" * n for n in (125, 126, 127, 65535, 65536)])
    yield "4 MiB", lambda: echo([os.urandom(4 * MEBIBYTE)], compression=None)
    yield "fragments", lambda: echo([["a", "b", "c"]])
    yield "500 messages", lambda: echo([f"m{i}" for i in range(500)])

    async def ping():
        async with connect(url + "/ws/echo", **options) as socket:
            await asyncio.wait_for(await socket.ping(b"abc"), 20)
            return True
    yield "ping", ping

    async def subprotocol():
        async with connect(url + "/ws/echo", subprotocols=["b", "a"], **options) as socket:
            return socket.subprotocol == "a"
    yield "a subprotocol", subprotocol

    async def close():
        async with connect(url + "/ws/close", **options) as socket:
            try:
                await socket.recv()
            except websockets.ConnectionClosed as error:
                return (error.rcvd.code, error.rcvd.reason) == (4001, "bye")
    yield "the service's close code", close

    async def drop():
        try:
            async with connect(url + "/ws/drop", **options) as socket:
                await socket.recv()
        except websockets.ConnectionClosed:
            return True
    yield "the service's reset", drop

    async def burst():
        async with connect(url + "/ws/burst", **options) as socket:
            return len([message async for message in socket]) == 2000
    yield "2,000 messages at once", burst

    async def leave():
        async def count():
            async with connect(url + "/ws/left", **options) as socket:
                return int(await socket.recv())
        before = await count()
        socket = await connect(url + "/ws/leave", **options)
        socket.transport.abort()
        while await count() == before:
            await asyncio.sleep(0.01)
        return True
    yield "the client's reset", leave

    async def deny():
        try:
            await connect(url + "/ws/deny", **options)
        except websockets.InvalidStatus as error:
            return error.response.status_code == 403
    yield "403", deny

    async def parallel():
        return all(await asyncio.gather(*[echo(["x"] * 5) for _ in range(100)]))
    yield "100 at once", parallel

    head = "GET /ws/echo HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: %s\r\n" % base64.b64encode(os.urandom(16)).decode()
    place = urllib.parse.urlsplit(url)

    async def ask(fields, is_upgraded):
        reader, writer = await asyncio.open_connection(
            place.hostname, place.port, ssl=context, server_hostname=place.hostname if context else None)
        writer.write((head + fields + "\r\n").encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        return answer.startswith(b"HTTP/1.1 101") == is_upgraded

    version = "Sec-WebSocket-Version: 13\r\n"
    yield "Connection with several options", lambda: ask(
        f"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n{version}", True)
    yield "Upgrade in capitals", lambda: ask(f"Connection: UPGRADE\r\nUpgrade: WebSocket\r\n{version}", True)
    yield "another version is no tunnel", lambda: ask(
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 7\r\n", False)
    yield "without Connection there is no tunnel", lambda: ask(f"Upgrade: websocket\r\n{version}", False)


async def run_client(url, authority):
    context = ssl.create_default_context(cafile=authority) if authority else None
    count = 0
    for name, call in calls(url, context):
        try:
            why = "" if await asyncio.wait_for(call(), 60) else "wrong answer"
        except Exception as error:  # Whatever the package throws, it is this call that failed.
            why = repr(error)
        if why:
            print(f"bad: {name}: {why}")
            return 1
        count += 1
    print(f"ok {count} cases")
    return 0


if sys.argv[1] == "serve":
    asyncio.run(run_service(int(sys.argv[2])))
else:
    sys.exit(asyncio.run(run_client(sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None)))
