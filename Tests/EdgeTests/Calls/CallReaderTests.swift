import HTTPCodec
import Testing
import Units

@testable import Edge

/// Answers of calls, byte by byte and at once.
struct CallReaderTests {
  private static func reader(
    _ method: Method = .get,
    isStream: Bool = false,
    most: Int = 1_000
  ) -> CallReader {
    CallReader(method: method, isStream: isStream, maximumBytes: most)
  }

  /// What a text means, cut into pieces of a size; content joined.
  private static func read(
    _ text: String,
    _ size: Int,
    _ method: Method = .get,
    isStream: Bool = false,
    most: Int = 1_000
  ) throws(CallFault) -> [ServiceEvent] {
    var reader = reader(method, isStream: isStream, most: most)
    var events: [ServiceEvent] = []
    let bytes = Array(text.utf8)
    for start in stride(from: 0, to: bytes.count, by: size) {
      let part = Array(bytes[start..<min(start + size, bytes.count)])
      for event in try take(&reader, part) {
        if case .body(let new) = event, case .body(let before)? = events.last {
          events[events.count - 1] = .body(before + new)
        } else {
          events.append(event)
        }
      }
    }
    return events
  }

  private static func take(
    _ reader: inout CallReader,
    _ bytes: [UInt8]
  ) throws(CallFault) -> [ServiceEvent] {
    let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: bytes.count)
    defer { copy.deallocate() }
    _ = copy.initialize(from: bytes)
    return try reader.take(UnsafeBufferPointer(copy))
  }

  @Test(arguments: [1, 2, 3, 7, 1_000])
  func `an answer means the same however it is cut`(size: Int) throws {
    let text =
      "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nX-Index: 7\r\n"
      + "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nx-sum: 5\r\n\r\nmore"
    let head = ServiceEvent.head(
      status: 200,
      fields: [ServiceField("x-index", "7"), ServiceField("transfer-encoding", "chunked")]
    )

    #expect(try Self.read(text, size) == [head, .body(Array("abcde".utf8)), .end])

    let plain = "HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\n\r\nabcdemore"
    let events = try Self.read(plain, size)
    #expect(events.count == 3 && events[1...] == [.body(Array("abcde".utf8)), .end])
  }

  @Test(arguments: [1, 1_000])
  func `an answer without content ends with its head`(size: Int) throws {
    let length = "content-length: 5\r\n\r\n"
    for (text, method) in [
      ("HTTP/1.1 204 No Content\r\n\r\n", Method.get),
      ("HTTP/1.1 304 Not Modified\r\n\(length)", .get),
      ("HTTP/1.1 200 OK\r\n\(length)", .head),
      ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", .get),
    ] {
      let events = try Self.read(text, size, method)
      #expect(events.count == 2 && events.last == .end, "\(text)")
    }
  }

  @Test(arguments: [1, 1_000])
  func `content beyond the bound is a fault, and a stream has none`(size: Int) throws {
    let length = "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nabcdefghijk"
    let chunks =
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\nabcdef\r\n5\r\nghijk\r\n0\r\n\r\n"
    for text in [length, chunks] {
      let fault = #expect(throws: CallFault.self) { try Self.read(text, size, most: 10) }
      #expect(fault?.words == "its answer is larger than 10 bytes")
      #expect(try Self.read(text, size, most: 11).last == .end)
      #expect(try Self.read(text, size, isStream: true, most: 1).last == .end)
    }
  }

  @Test(arguments: [
    "HTTP/2 200\r\n\r\n", "HTTP/1.1 99 x\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nno end is told",
    "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nhost: x\r\n\r\n",
    "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
    "HTTP/1.1 200 OK\r\nx: " + String(repeating: "x", count: 20_000),
  ])
  func `what is no answer is a fault`(text: String) {
    for size in [1, 4_096] {
      let fault = #expect(throws: CallFault.self) { try Self.read(text, size) }
      #expect(fault?.words.hasPrefix("its answer is malformed") == true)
    }
  }

  @Test func `an answer that is not over has no end`() throws {
    for text in [
      "HTTP/1.1 200 OK\r\ncontent-le", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabcd",
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n",
    ] {
      #expect(try Self.read(text, 3).last != .end)
    }
  }
}
