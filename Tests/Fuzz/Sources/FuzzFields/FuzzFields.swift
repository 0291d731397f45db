import FuzzSupport
import HTTPCodec
import Units

/// Small bounds, so that inputs reach them.
private let settings = H2Settings(
  limits: HeadLimits(maximumBytes: 2_048, maximumFields: 12, maximumTarget: 256),
  allowsConnect: true,
  allowsExtendedConnect: true
)
private nonisolated(unsafe) let workspace = H2Workspace(streams: 4)
private nonisolated(unsafe) let table = UnsafeMutablePointer<HeadField>.allocate(capacity: 64)
private let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

/// Names that decide something; others are spelled out.
private let names = [
  ":method", ":scheme", ":authority", ":path", ":protocol", ":status", "host", "content-length",
  "cookie", "te", "connection", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection",
  "expect", "priority", "x-a", "Host", "trailer",
].map { Array($0.utf8) }

/// Never passed on (RFC 9113 section 8.2.2).
private let forbidden = [
  "connection", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection",
].map { Array($0.utf8) }

private struct Line {
  var name: [UInt8]
  var value: [UInt8]
}

/// A list of fields as HTTP/1.1 gets it.
///
/// The first byte says whether the stream ends and where the section is cut in two. Each field is a
/// byte for its name, an entry of `names` or from 128 on a length with the name behind it, and a
/// length with its value.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzFields(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  guard count > 1 else { return 0 }
  let lines = fields(UnsafeBufferPointer(start: bytes + 1, count: count - 1))
  var section: [UInt8] = []
  for line in lines { section += [0] + string(line.name) + string(line.value) }
  guard section.count < 16_000 else { return 0 }
  let ends: UInt8 = bytes[0] & 1
  let cut = min(section.count, Int(bytes[0] >> 1))
  var input = preface + frame(0x4, 0, 0, [])
  if cut > 0 {
    input += frame(0x1, ends, 1, Array(section[..<cut]))
    input += frame(0x9, 0x4, 1, Array(section[cut...]))
  } else {
    input += frame(0x1, ends | 0x4, 1, section)
  }
  receive(input, lines, endsStream: ends == 1)
  return 0
}

private func fields(_ input: UnsafeBufferPointer<UInt8>) -> [Line] {
  var lines: [Line] = []
  var at = 0
  func take(_ length: Int) -> [UInt8] {
    let part = input[at..<min(input.count, at + length)]
    at += part.count
    return Array(part)
  }
  while at < input.count, lines.count < 40 {
    let code = Int(input[at])
    at += 1
    let name = code < 128 ? names[code % names.count] : take(code - 128)
    let length = at < input.count ? Int(input[at]) : 0
    at += 1
    guard at <= input.count else { break }
    lines.append(Line(name: name, value: take(length)))
  }
  return lines
}

/// A string of RFC 7541 section 5.2 without Huffman codes.
private func string(_ text: [UInt8]) -> [UInt8] {
  guard text.count >= 127 else { return [UInt8(text.count)] + text }
  let rest = text.count - 127
  let number = rest < 128 ? [UInt8(rest)] : [UInt8(rest % 128 + 128), UInt8(rest / 128)]
  return [127] + number + text
}

private func frame(_ kind: UInt8, _ flags: UInt8, _ stream: UInt8, _ payload: [UInt8]) -> [UInt8] {
  [0, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF), kind, flags, 0, 0, 0, stream]
    + payload
}

private func receive(_ input: [UInt8], _ lines: [Line], endsStream: Bool) {
  guard let session = H2Session(isServer: true, settings: settings, workspace: workspace)
  else { return }
  input.withUnsafeBufferPointer { buffer in
    guard let start = buffer.baseAddress else { return }
    var used = 0
    repeat {
      used += session.receive(start + used, count: buffer.count - used, at: Instant(0))
      while let event = session.nextEvent() {
        if event.kind == .oversizedRequest {
          let saysHead = lines.contains { $0.name == names[0] && $0.value == Array("HEAD".utf8) }
          require(!event.isHead || saysHead, "HEAD is nothing that we make up")
        }
        guard event.kind == .request else { continue }
        require(event.isLast == endsStream, "the end is where it is")
        let head = workspace.request(event)
        requireTranslated(head, table)
        requireGiven(head, lines)
      }
      while session.nextClosed() != nil {}
    } while used < buffer.count || session.isPaused
  }
}

/// Each field that is passed on is one that came, in the same order, and none that must not be.
private func requireGiven(_ request: H2RequestHead, _ lines: [Line]) {
  var next = 0
  for index in 0..<Int(request.head.fieldCount) {
    let field = request.fields[index]
    let name = part(request.bytes, field.nameStart, field.nameLength)
    let value = part(request.bytes, field.valueStart, field.valueLength)
    require(!forbidden.contains(name), "what is about a connection ends with it")
    require(name.first != 0x3A, "no pseudo-header field is passed on")
    // Host is written from :authority, and crumbs of a cookie are put together.
    if name == names[6] || name == names[8] { continue }
    while next < lines.count, lines[next].name != name || lines[next].value != value { next += 1 }
    require(next < lines.count, "a field is one that came, in its place")
    next += 1
  }
}

private func part(_ bytes: UnsafePointer<UInt8>, _ start: UInt16, _ length: UInt16) -> [UInt8] {
  Array(UnsafeBufferPointer(start: bytes + Int(start), count: Int(length)))
}
