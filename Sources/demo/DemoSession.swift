/// One connection: read a request, answer it, again, until either side has enough.
struct DemoSession {
  private var socket: DemoSocket
  private let service: DemoService

  /// A head with more fields than this ends the connection.
  private static let mostFields = 200
  /// Largest piece of filler written at once.
  private static let pieceBytes = 256 * 1024

  init(socket: DemoSocket, service: DemoService) {
    self.socket = socket
    self.service = service
  }

  mutating func run() {
    while let request = readRequest() {
      guard write(service.answer(to: request), to: request), request.keepsAlive else { break }
    }
    socket.finish()
  }

  private mutating func readRequest() -> DemoRequest? {
    guard let line = socket.readLine(), var request = DemoRequest(line: line) else { return nil }
    while let field = socket.readLine() {
      if field.isEmpty { return readBody(of: request) }
      guard request.fields.count < Self.mostFields, request.add(field: field) else { return nil }
    }
    return nil
  }

  private mutating func readBody(of head: DemoRequest) -> DemoRequest? {
    var request = head
    if request.expectsContinue, !socket.hasUnread {
      guard socket.send(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)) else { return nil }
    }
    if request.isChunked {
      while let line = socket.readLine() {
        let digits = String(decoding: line.prefix { $0 != UInt8(ascii: ";") }, as: UTF8.self)
        guard let count = Int(digits, radix: 16), count >= 0 else { return nil }
        if count == 0 { return skipTrailers() ? request : nil }
        guard socket.skip(count), socket.readLine()?.isEmpty == true else { return nil }
        request.bodyLength += count
      }
      return nil
    }
    guard let text = request.field("content-length") else { return request }
    guard let count = Int(text), count >= 0, socket.skip(count) else { return nil }
    request.bodyLength = count
    return request
  }

  private mutating func skipTrailers() -> Bool {
    while let line = socket.readLine() {
      if line.isEmpty { return true }
    }
    return false
  }

  private func write(_ answer: DemoService.Answer, to request: DemoRequest) -> Bool {
    var head = "HTTP/1.1 \(answer.status) \(answer.status < 400 ? "OK" : "Demo")\r\n"
    head += "Content-Type: \(answer.contentType)\r\nX-Demo-Service: \(service.name)\r\n"
    if !request.keepsAlive { head += "Connection: close\r\n" }
    let hasBody = !request.isHead && answer.status != 204 && answer.status != 304

    switch answer.body {
    case .text(let text):
      if answer.status != 204 { head += "Content-Length: \(text.utf8.count)\r\n" }
      return socket.send(Array((head + "\r\n" + (hasBody ? text : "")).utf8))
    case .filler(let count):
      head += "Content-Length: \(count)\r\n\r\n"
      return writeFiller(after: Array(head.utf8), count: hasBody ? count : 0)
    case .chunks(let count):
      head += "Transfer-Encoding: chunked\r\n\r\n"
      guard socket.send(Array(head.utf8)) else { return false }
      return !hasBody || writeChunks(count)
    }
  }

  private func writeFiller(after head: [UInt8], count: Int) -> Bool {
    guard count > 0 else { return socket.send(head) }
    let filler = [UInt8](repeating: UInt8(ascii: "x"), count: min(count, Self.pieceBytes))
    guard socket.send(head + filler) else { return false }
    var left = count - filler.count
    while left > 0 {
      let step = min(left, filler.count)
      guard socket.send(step == filler.count ? filler : Array(filler[..<step])) else {
        return false
      }
      left -= step
    }
    return true
  }

  private func writeChunks(_ count: Int) -> Bool {
    let body = repeatElement(UInt8(ascii: "y"), count: 1000)
    let chunk = Array("3e8\r\n".utf8) + body + Array("\r\n".utf8)
    for _ in 0..<count {
      guard socket.send(chunk) else { return false }
    }
    return socket.send(Array("0\r\n\r\n".utf8))
  }
}
