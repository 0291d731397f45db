#!/usr/bin/env python3
"""The exchanges that every client makes, with a library for Python.

    http_client.py httpx|requests|aiohttp BASE VERSION AUTHORITY

VERSION is 1.1 or 2; only httpx speaks 2. Prints "ok", or "bad: ..." and exits with 1.
"""
import asyncio
import ssl
import sys


def with_httpx(base, version, authority):
    import httpx
    client = httpx.Client(http1=version == "1.1", http2=version == "2", trust_env=False, timeout=30,
                          verify=ssl.create_default_context(cafile=authority))

    def get(path):
        answer = client.get(base + path)
        if answer.http_version != f"HTTP/{version}":
            raise ValueError(answer.http_version)
        return answer.status_code, len(answer.content)

    return get, lambda path, body: client.post(base + path, content=body).content


def with_requests(base, version, authority):
    import requests
    session = requests.Session()
    session.trust_env, session.verify = False, authority

    def get(path):
        answer = session.get(base + path, timeout=30)
        return answer.status_code, len(answer.content)

    return get, lambda path, body: session.post(base + path, data=body, timeout=30).content


def with_aiohttp(base, version, authority):
    import aiohttp
    loop = asyncio.new_event_loop()

    async def make():
        context = ssl.create_default_context(cafile=authority)
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))
    session = loop.run_until_complete(make())

    async def get(path):
        async with session.get(base + path) as answer:
            return answer.status, len(await answer.read())

    async def post(path, body):
        async with session.post(base + path, data=body, chunked=True) as answer:
            return await answer.read()

    return (lambda path: loop.run_until_complete(get(path)),
            lambda path, body: loop.run_until_complete(post(path, body)))


def main():
    library, base, version, authority = sys.argv[1:]
    get, post = {"httpx": with_httpx, "requests": with_requests, "aiohttp": with_aiohttp}[library](
        base, version, authority)
    steps = [("100,000 bytes", lambda: get("/bytes/100000") == (200, 100000)),
             ("50 chunks", lambda: get("/chunks/50") == (200, 50000)),
             ("204", lambda: get("/status/204") == (204, 0)),
             ("404", lambda: get("/status/404")[0] == 404),
             ("300,000 bytes sent", lambda: b'"bodyBytes":300000' in post("/echo", b"z" * 300000)),
             ("50 requests", lambda: all(get("/bytes/10")[1] == 10 for _ in range(50)))]
    for name, step in steps:
        try:
            why = "" if step() else "wrong answer"
        except Exception as error:  # Whatever a library throws, it is this step that failed.
            why = repr(error)
        if why:
            print(f"bad: {name}: {why}")
            sys.exit(1)
    print("ok")


main()
