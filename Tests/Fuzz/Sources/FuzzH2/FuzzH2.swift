import FuzzSupport
import HTTPCodec
import Units

/// Small bounds, so that inputs reach them.
private let settings = H2Settings(
  maximumStreams: 8,
  streamWindow: 65_535,
  connectionWindow: 65_535,
  limits: HeadLimits(maximumBytes: 2_048, maximumFields: 12, maximumTarget: 256),
  maximumQueued: 32,
  allowsConnect: true,
  allowsExtendedConnect: true
)
private nonisolated(unsafe) let workspace = H2Workspace(streams: 16)
private nonisolated(unsafe) let output = UnsafeMutablePointer<UInt8>.allocate(capacity: 4_096)
private nonisolated(unsafe) let table = UnsafeMutablePointer<HeadField>.allocate(capacity: 64)
private let preface: StaticString = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

/// The first byte says who is attacked and how the input is cut; the rest is what the peer sends,
/// without the preface.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzH2(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  guard count > 1 else { return 0 }
  let isServer = bytes[0] & 1 == 0
  let piece = Int(bytes[0] >> 1) + 1
  guard let session = H2Session(isServer: isServer, settings: settings, workspace: workspace)
  else { return 0 }
  if isServer {
    feed(session, preface.utf8Start, 24, piece: 24)
  } else {
    ask(session)
    drainOutput(session)
  }
  feed(session, bytes + 1, count - 1, piece: piece)
  drainOutput(session)
  return 0
}

private func ask(_ session: H2Session) {
  for index in 0..<4 {
    var fields = H2FieldList(workspace)
    fields.add(":method", index == 3 ? "HEAD" : "GET")
    fields.add(":scheme", "http")
    fields.add(":authority", "a")
    fields.add(":path", "/")
    _ = session.request(index == 3 ? .head : .get, fields: fields, endsStream: true)
  }
}

private func feed(
  _ session: H2Session,
  _ bytes: UnsafePointer<UInt8>,
  _ count: Int,
  piece: Int
) {
  var position = 0
  while position < count {
    let length = min(piece, count - position)
    var used = 0
    repeat {
      let start = bytes + position + used
      let now = session.receive(start, count: length - used, at: Instant(0))
      require(now >= 0 && now <= length - used, "what is used was given")
      drain(session, start, now)
      used += now
    } while used < length || session.isPaused
    position += length
    if position / 512 != (position - length) / 512 { drainOutput(session) }
    require(session.openStreams <= 16, "streams are bounded")
  }
}

private func drain(_ session: H2Session, _ input: UnsafePointer<UInt8>, _ count: Int) {
  while let event = session.nextEvent() {
    switch event.kind {
    case .request:
      requireTranslated(workspace.request(event), table)
      answer(session, event)
    case .oversizedRequest: answer(session, event)
    case .response, .interim: check(workspace.response(event))
    case .data:
      require(
        event.start >= 0 && event.count >= 0 && Int(event.start) + Int(event.count) <= count,
        "data lies in what was used"
      )
      session.consume(event.stream, Int(event.count) / 2)
    case .trailers:
      let section = workspace.trailers(event)
      requireSound(
        section.bytes,
        fields: section.fields,
        count: Int(section.section.fieldCount),
        start: 0,
        end: Int(section.section.length)
      )
    case .malformed, .settings, .goAway, .pong: break
    }
  }
  while session.nextClosed() != nil {}
}

/// Answers in one of the ways there are, by the stream's number.
private func answer(_ session: H2Session, _ event: H2Event) {
  let number = session.number(of: event.stream)
  var fields = H2FieldList(workspace)
  fields.add("server", "x")
  switch number / 2 % 4 {
  case 0: _ = session.respond(event.stream, status: 200, fields: fields, endsStream: true)
  case 1:
    _ = session.respond(event.stream, status: 200, fields: fields, endsStream: false)
    session.offer(event.stream, preface.utf8Start, count: 24, .last)
  case 2:
    _ = session.inform(event.stream, status: 103, fields: fields)
    _ = session.respond(event.stream, status: 200, fields: fields, endsStream: false)
    session.offer(event.stream, preface.utf8Start, count: 24, .beforeTrailers)
  default: session.reset(event.stream, .cancel)
  }
}

private func drainOutput(_ session: H2Session) {
  while true {
    let count = session.send(into: output, capacity: 4_096)
    require(count >= 0 && count <= 4_096, "output stays in its block")
    while true {
      let stream = session.nextProgress()
      if stream < 0 { break }
      require(session.takeSent(stream) <= 24, "no more is sent than was offered")
      if session.awaitsTrailers(stream) {
        var fields = H2FieldList(workspace)
        fields.add("x-sum", "1")
        _ = session.finish(stream, trailers: fields)
      }
    }
    while session.nextClosed() != nil {}
    if count == 0 { return }
  }
}

private func check(_ response: H2ResponseHead) {
  var head = ResponseHead()
  let outcome = ResponseParser.parse(
    response.bytes,
    count: Int(response.head.headLength),
    request: .get,
    limits: HeadLimits(maximumFields: 64),
    fields: table,
    into: &head
  )
  require(outcome == .complete, "a response is one in HTTP/1.1 too")
  require(head.status == response.head.status, "the status is the same")
  require(head.fieldCount == response.head.fieldCount, "no field is hidden")
  require(head.headLength == response.head.headLength, "it ends where it ends")
}
