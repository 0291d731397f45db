import Glibc

/// Turns records into JSON lines.
struct AccessLogFormatter {
  private let table: NameTable
  /// Names as JSON strings, by id.
  private var names: [[UInt8]] = []
  /// The table's revision that `names` is at.
  private var revision = 0

  init(names: NameTable) { table = names }

  /// Appends one line, its newline too, for the bytes of one record of a ring.
  mutating func append(_ bytes: UnsafeRawBufferPointer, to line: inout [UInt8]) {
    guard bytes.count >= AccessLogRing.headerSize else { return }
    let record = bytes.loadUnaligned(fromByteOffset: 4, as: AccessRecord.self)
    let fields = Self.fields(of: bytes)

    put("{\"time\":\"", &line)
    line.append(contentsOf: Timestamp.bytes(record.time, true))
    put("\"", &line)
    text("requestId", fields[Int(AccessField.requestId.rawValue)], &line)
    text("traceId", fields[Int(AccessField.traceId.rawValue)], &line)
    name("route", record.route, &line)
    text("tenantId", fields[Int(AccessField.tenantId.rawValue)], &line)
    text("method", fields[Int(AccessField.method.rawValue)], &line)
    text("path", fields[Int(AccessField.path.rawValue)], &line)
    value("status", "\(record.status)", &line)
    name("upstream", record.upstream, &line)
    name("upstreamVersion", record.upstreamVersion, &line)
    value("latencyMs", Self.milliseconds(record.latency), &line)
    value("rateLimited", "\(record.isRateLimited)", &line)
    value("configVersion", "\(record.configVersion)", &line)
    name("class", record.priorityClass, &line)
    name("shedReason", record.shedReason, &line)
    value("queueMs", Self.milliseconds(record.queued), &line)
    value("attempts", "\(record.attempts)", &line)
    value("hedged", "\(record.isHedged)", &line)
    value("deadlineMs", Self.milliseconds(record.deadline), &line)
    value("clientAddress", record.client.json, &line)
    value("bytesIn", "\(record.bytesIn)", &line)
    value("bytesOut", "\(record.bytesOut)", &line)
    value("protocol", record.wire.json, &line)
    name("listener", record.listener, &line)
    name("endpoint", record.endpoint, &line)
    name("error", record.error, &line)
    name("fallback", record.fallback, &line)
    text("clientSubject", fields[Int(AccessField.clientSubject.rawValue)], &line)
    list("clientNames", fields[Int(AccessField.clientNames.rawValue)], &line)
    put("}\n", &line)
  }

  /// The appended fields, by raw value of their kind.
  private static func fields(of bytes: UnsafeRawBufferPointer) -> [UnsafeRawBufferPointer?] {
    var found = [UnsafeRawBufferPointer?](repeating: nil, count: AccessField.allCases.count)
    var index = AccessLogRing.headerSize
    while index + 3 <= bytes.count {
      let kind = Int(bytes[index])
      let length = Int(bytes[index + 1]) | Int(bytes[index + 2]) << 8
      guard kind < found.count, index + 3 + length <= bytes.count else { break }
      found[kind] = UnsafeRawBufferPointer(rebasing: bytes[(index + 3)..<(index + 3 + length)])
      index += 3 + length
    }
    return found
  }

  private func put(_ text: StaticString, _ line: inout [UInt8]) {
    line.append(
      contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
    )
  }

  private func key(_ key: StaticString, _ line: inout [UInt8]) {
    put(",\"", &line)
    put(key, &line)
    put("\":", &line)
  }

  private func value(_ key: StaticString, _ value: String, _ line: inout [UInt8]) {
    self.key(key, &line)
    line.append(contentsOf: value.utf8)
  }

  private func text(
    _ key: StaticString,
    _ bytes: UnsafeRawBufferPointer?,
    _ line: inout [UInt8]
  ) {
    self.key(key, &line)
    if let bytes { JSONText.append(bytes, to: &line) } else { put("null", &line) }
  }

  /// Texts with a line feed between two, as an array.
  private func list(
    _ key: StaticString,
    _ bytes: UnsafeRawBufferPointer?,
    _ line: inout [UInt8]
  ) {
    self.key(key, &line)
    guard let bytes else { return put("null", &line) }
    var separator: StaticString = "["
    for entry in bytes.split(separator: UInt8(ascii: "\n")) {
      put(separator, &line)
      JSONText.append(UnsafeRawBufferPointer(rebasing: entry), to: &line)
      separator = ","
    }
    put("]", &line)
  }

  private mutating func name(_ key: StaticString, _ id: NameID, _ line: inout [UInt8]) {
    self.key(key, &line)
    let index = Int(id.rawValue)
    let current = table.revision
    if current != revision {
      revision = current
      for (id, name) in table.takeChanges() where Int(id) < names.count {
        names[Int(id)] = JSONText.quoted(name)
      }
    }
    if index >= names.count {
      names.append(contentsOf: table.names(from: names.count).map { JSONText.quoted($0) })
    }
    if index >= 0, index < names.count {
      line.append(contentsOf: names[index])
    } else {
      put("null", &line)
    }
  }

  /// Milliseconds with three digits, null for a negative span.
  private static func milliseconds(_ nanoseconds: Int64) -> String {
    guard nanoseconds >= 0 else { return "null" }
    let (whole, rest) = (nanoseconds / 1_000).quotientAndRemainder(dividingBy: 1_000)
    return "\(whole)." + (rest < 10 ? "00" : rest < 100 ? "0" : "") + "\(rest)"
  }
}

extension WireProtocol {
  var json: String {
    switch self {
    case .http10: "\"HTTP/1.0\""
    case .http11: "\"HTTP/1.1\""
    case .http2: "\"HTTP/2\""
    }
  }
}

extension ClientAddress {
  /// The usual text in quotation marks, or null.
  var json: String {
    var text = [CChar](repeating: 0, count: 64)
    switch family {
    case .none: return "null"
    case .ipv4:
      var address = UInt32(truncatingIfNeeded: high >> 32).bigEndian
      guard inet_ntop(AF_INET, &address, &text, 64) != nil else { return "null" }
    case .ipv6:
      var address = (high.bigEndian, low.bigEndian)
      guard inet_ntop(AF_INET6, &address, &text, 64) != nil else { return "null" }
    }
    let end = text.firstIndex(of: 0) ?? text.count
    return "\"" + String(decoding: text[..<end].map { UInt8(bitPattern: $0) }, as: UTF8.self) + "\""
  }
}
