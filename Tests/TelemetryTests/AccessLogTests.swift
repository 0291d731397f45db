import Foundation
import Telemetry
import Testing
import Units

struct AccessLogTests {
  private let path = FileManager.default.temporaryDirectory
    .appendingPathComponent("access-\(UUID().uuidString).log").path

  private func lines() throws -> [[String: Any]] {
    let data = try Data(contentsOf: URL(fileURLWithPath: path))
    return try data.split(separator: UInt8(ascii: "\n")).map {
      try #require(JSONSerialization.jsonObject(with: $0) as? [String: Any])
    }
  }

  private func append(_ ring: AccessLogRing, _ field: AccessField, _ bytes: [UInt8]) {
    bytes.withUnsafeBufferPointer { ring.append(field, $0.baseAddress, count: $0.count) }
  }

  @Test func `a full ring drops whole records and counts them`() throws {
    let ring = AccessLogRing(capacity: 4_096, doorbell: Doorbell())
    var kept = 0

    for _ in 0..<1_000 {
      ring.begin(AccessRecord())
      append(ring, .path, Array("/some/path".utf8))
      if ring.commit() { kept += 1 }
    }

    #expect(kept > 0)
    #expect(ring.dropped == UInt64(1_000 - kept))
  }

  @Test func `a record larger than the ring is dropped and the ring goes on`() throws {
    let ring = AccessLogRing(capacity: 4_096, doorbell: Doorbell())

    ring.begin(AccessRecord())
    append(ring, .path, [UInt8](repeating: 65, count: 60_000))
    append(ring, .method, [UInt8](repeating: 65, count: 10))
    #expect(!ring.commit())
    ring.begin(AccessRecord())

    #expect(ring.commit())
    #expect(ring.dropped == 1)
  }

  @Test func `records of two workers arrive whole and in order, or are counted as dropped`() throws
  {
    let names = NameTable()
    let writer = AccessLogWriter(
      output: .file(path: path),
      workers: 2,
      ringCapacity: 8_192,
      names: names
    )
    try writer.start()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let total = 20_000

    let threads = (0..<2).compactMap { worker in
      BackgroundThread(name: "produce") {
        let ring = writer.ring(worker)
        for number in 0..<total {
          var record = AccessRecord()
          record.bytesIn = UInt64(number)
          record.status = UInt16(100 + worker)
          ring.begin(record)
          // The length changes with each record, so that every cut at the ring's end comes up.
          let path = [UInt8](repeating: UInt8(97 + number % 26), count: 1 + number % 97)
          path.withUnsafeBufferPointer { ring.append(.path, $0.baseAddress, count: $0.count) }
          ring.commit()
        }
      }
    }
    for thread in threads { thread.join() }
    writer.stop()

    let found = try lines()
    #expect(UInt64(found.count) == writer.written)
    #expect(writer.failed == 0)
    #expect(found.count + Int(writer.dropped) == 2 * total)
    #expect(found.count > 100)
    for worker in 0..<2 {
      var last = -1
      for line in found where line["status"] as? Int == 100 + worker {
        let number = try #require(line["bytesIn"] as? Int)
        let letter = Character(UnicodeScalar(UInt8(97 + number % 26)))
        #expect(number > last)
        #expect(line["path"] as? String == String(repeating: letter, count: 1 + number % 97))
        last = number
      }
    }
  }

  @Test func `hostile bytes become valid JSON that steers no terminal`() throws {
    let writer = AccessLogWriter(output: .file(path: path), workers: 1, names: NameTable())
    try writer.start()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let ring = writer.ring(0)
    let hostile: [[UInt8]] = [
      [0x22, 0x5C, 0x0A, 0x0D, 0x00, 0x1B, 0x7F], [0xFF, 0xC0, 0xAF], [0xE2, 0x82],
      [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xC2, 0x9B], Array("gr\u{FC}n \u{1F600}".utf8),
    ]

    for bytes in hostile {
      ring.begin(AccessRecord())
      append(ring, .path, bytes)
      append(ring, .requestId, bytes)
      ring.commit()
    }
    writer.stop()

    let raw = try Data(contentsOf: URL(fileURLWithPath: path))
    #expect(raw.allSatisfy { $0 >= 0x20 && $0 != 0x7F || $0 == 0x0A })
    let paths = try lines().map { $0["path"] as? String }
    #expect(
      paths == [
        "\"\\\n\r\0\u{1B}\u{7F}", "\u{FFFD}\u{FFFD}\u{FFFD}", "\u{FFFD}",
        "\u{FFFD}\u{FFFD}\u{FFFD}", "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}", "\u{9B}",
        "gr\u{FC}n \u{1F600}",
      ]
    )
    #expect(String(decoding: raw, as: UTF8.self).contains("\\u009b"))
  }

  @Test func `a line has the agreed fields and null for what does not exist`() throws {
    let names = NameTable()
    let writer = AccessLogWriter(output: .file(path: path), workers: 1, names: names)
    try writer.start()
    defer { try? FileManager.default.removeItem(atPath: path) }
    var record = AccessRecord()
    record.time = 1_775_643_330_123_000_000
    record.latency = 1_234_567
    record.status = 200
    record.route = names.id(for: "checkout")
    let address: [UInt8] = [192, 0, 2, 7]
    record.client = address.withUnsafeBytes { ClientAddress(bytes: $0) }

    writer.ring(0).begin(record)
    append(writer.ring(0), .method, Array("GET".utf8))
    writer.ring(0).commit()
    writer.ring(0).begin(record)
    append(writer.ring(0), .clientSubject, Array("CN=a\\, \"b\"".utf8))
    append(writer.ring(0), .clientNames, Array("DNS:a\nURI:x:\"y".utf8))
    writer.ring(0).commit()
    writer.stop()

    let found = try lines()
    let line = try #require(found.first)
    #expect(line["clientSubject"] is NSNull && line["clientNames"] is NSNull)
    #expect(found.last?["clientSubject"] as? String == "CN=a\\, \"b\"")
    #expect(found.last?["clientNames"] as? [String] == ["DNS:a", "URI:x:\"y"])
    #expect(line["time"] as? String == "2026-04-08T10:15:30.123Z")
    #expect(line["route"] as? String == "checkout")
    #expect(line["latencyMs"] as? Double == 1.234)
    #expect(line["clientAddress"] as? String == "192.0.2.7")
    #expect(line["tenantId"] is NSNull && line["upstream"] is NSNull && line["queueMs"] is NSNull)
    let agreed: Set = [
      "requestId", "traceId", "route", "tenantId", "method", "path", "status", "upstream",
      "upstreamVersion", "latencyMs", "rateLimited", "configVersion", "class", "shedReason",
      "queueMs", "attempts", "hedged", "deadlineMs", "fallback", "clientSubject", "clientNames",
    ]
    #expect(agreed.isSubset(of: line.keys))
  }

  @Test func `after the file was moved away, reopening writes to a new one`() async throws {
    let writer = AccessLogWriter(output: .file(path: path), workers: 1, names: NameTable())
    try writer.start()
    let ring = writer.ring(0)
    ring.begin(AccessRecord())
    ring.commit()
    while writer.written < 1 { await Task.yield() }
    try FileManager.default.moveItem(atPath: path, toPath: path + ".1")
    defer {
      try? FileManager.default.removeItem(atPath: path)
      try? FileManager.default.removeItem(atPath: path + ".1")
    }

    writer.reopen()
    while !FileManager.default.fileExists(atPath: path) { await Task.yield() }
    ring.begin(AccessRecord())
    ring.commit()
    writer.stop()

    #expect(try lines().count == 1)
  }

  @Test func `a new output gets what comes after it, the old one what came before`() async throws {
    let writer = AccessLogWriter(output: .off, workers: 1, names: NameTable())
    try writer.start()
    let ring = writer.ring(0)
    defer {
      try? FileManager.default.removeItem(atPath: path)
      try? FileManager.default.removeItem(atPath: path + ".1")
    }

    for path in [path + ".1", path] {
      writer.replaceOutput(with: try LogSink(.file(path: path)))
      // Until the change is noticed lines go where they went before.
      repeat {
        ring.begin(AccessRecord())
        ring.commit()
        await Task.yield()
      } while try Data(contentsOf: URL(fileURLWithPath: path)).isEmpty
    }
    let before = try Data(contentsOf: URL(fileURLWithPath: path + ".1")).count
    ring.begin(AccessRecord())
    ring.commit()
    writer.stop()

    #expect(try Data(contentsOf: URL(fileURLWithPath: path + ".1")).count == before)
    #expect(try lines().count >= 2)
    #expect(writer.failed == 0)
  }

  @Test func `an output that takes nothing costs lines and not the stop`() throws {
    let writer = AccessLogWriter(
      output: .file(path: "/dev/full"),
      workers: 1,
      names: NameTable()
    )
    try writer.start()

    writer.ring(0).begin(AccessRecord())
    writer.ring(0).commit()
    writer.stop()

    #expect(writer.failed == 1)
    #expect(writer.written == 0)
  }

  @Test func `a path that cannot be opened is an error of the start`() {
    #expect(throws: TelemetryError.self) {
      try AccessLogWriter(output: .file(path: "/nowhere/a.log"), workers: 1, names: NameTable())
        .start()
    }
  }

  @Test func `syslog gets one message per line`() throws {
    let socketPath = path + ".sock"
    let receiver = try DatagramReceiver(path: socketPath)
    let writer = AccessLogWriter(
      output: .syslog(path: socketPath),
      workers: 1,
      names: NameTable()
    )
    try writer.start()

    for _ in 0..<2 {
      writer.ring(0).begin(AccessRecord())
      writer.ring(0).commit()
    }
    writer.stop()

    for _ in 0..<2 {
      let message = receiver.receive()
      #expect(message.hasPrefix("<134>1 20"))
      #expect(message.contains(" access - {\"time\":"))
      #expect(message.hasSuffix("}"))
    }
  }

  @Test(arguments: [
    ("stdout", AccessLogOutput.stdout), ("off", .off), ("file:/a b", .file(path: "/a b")),
    ("syslog:/dev/log", .syslog(path: "/dev/log")), ("file:", nil), ("", nil), ("STDOUT", nil),
  ])
  func `an output is parsed or refused`(text: String, output: AccessLogOutput?) {
    #expect(AccessLogOutput(text) == output)
  }

  @Test func `what was written, dropped and failed, and names without room, are metrics`() throws {
    let names = NameTable()
    let registry = MetricRegistry(shards: 1)
    let writer = AccessLogWriter(
      output: .file(path: path),
      workers: 1,
      ringCapacity: 4_096,
      names: names
    )
    defer { try? FileManager.default.removeItem(atPath: path) }
    writer.register(in: registry)
    func value(_ name: String) throws -> Int {
      let text = String(decoding: registry.exposition(.text), as: UTF8.self)
      let start = "spillway_accesslog_\(name)_total "
      let line = try #require(text.split(separator: "\n").first { $0.hasPrefix(start) })
      return try #require(Int(line.dropFirst(start.count)))
    }
    for name in ["written", "dropped", "failed", "names_full"] { #expect(try value(name) == 0) }

    for number in 0..<70_000 { _ = names.id(for: "n\(number)") }
    var dropped = 0
    for _ in 0..<100 {
      writer.ring(0).begin(AccessRecord())
      if !writer.ring(0).commit() { dropped += 1 }
    }
    try writer.start()
    writer.stop()

    #expect(try value("names_full") == 70_000 - 65_535)
    #expect(dropped > 0)
    #expect(try value("dropped") == dropped)
    #expect(try value("written") == 100 - dropped)
    #expect(try value("failed") == 0)
  }

  @Test func `the log writes the name that a number has now`() throws {
    let names = NameTable()
    let writer = AccessLogWriter(output: .file(path: path), workers: 1, names: names)
    defer { try? FileManager.default.removeItem(atPath: path) }
    let ring = writer.ring(0)
    func log(_ lease: NameTable.Lease) {
      var record = AccessRecord()
      record.endpoint = lease.id
      ring.begin(record)
      ring.commit()
    }
    try writer.start()
    let first = names.lease(for: "first").id
    log(names.lease(for: "first"))
    while writer.written < 1 { usleep(1_000) }

    var number = 0
    var second = names.lease(for: "n\(number)")
    while second.id != first {
      number += 1
      second = names.lease(for: "n\(number)")
    }
    log(second)
    writer.stop()

    #expect(try lines().map { $0["endpoint"] as? String } == ["first", "n\(number)"])
  }
}
