import Glibc

/// What the service answers: a pure function of the request, but for the sleep.
final class DemoService: Sendable {
  let name: String

  /// Bounds on what a path may ask for, so that a slip of the finger fills no memory.
  private static let mostBytes = 1 << 30
  private static let longestSleepMilliseconds = 60_000

  init(name: String) {
    self.name = name
  }

  /// An answer: its body is either one array or a run of equal bytes, perhaps in chunks.
  struct Answer {
    var status = 200
    var contentType = "application/json"
    var body: Body

    enum Body {
      case text(String)
      case filler(count: Int)
      case chunks(count: Int)
    }
  }

  func answer(to request: DemoRequest) -> Answer {
    let parts = request.parts
    if parts.last == "echo" { return Answer(body: .text(echo(of: request))) }
    guard parts.count >= 2, let number = Int(parts[parts.count - 1]), number >= 0 else {
      return Answer(body: .text(greeting(for: request)))
    }
    switch parts[parts.count - 2] {
    case "bytes":
      let count = min(number, Self.mostBytes)
      return Answer(contentType: "application/octet-stream", body: .filler(count: count))
    case "chunks":
      return Answer(contentType: "application/octet-stream", body: .chunks(count: number))
    case "sleep":
      usleep(UInt32(min(number, Self.longestSleepMilliseconds)) * 1000)
      return Answer(body: .text(greeting(for: request)))
    case "status" where (200...599).contains(number):
      return Answer(status: number, contentType: "text/plain", body: .text(""))
    default:
      return Answer(body: .text(greeting(for: request)))
    }
  }

  private func greeting(for request: DemoRequest) -> String {
    "{\"service\":\(quoted(name)),\"method\":\(quoted(request.method)),"
      + "\"target\":\(quoted(request.target)),"
      + "\"requestId\":\(quoted(request.field("x-request-id") ?? ""))}\n"
  }

  private func echo(of request: DemoRequest) -> String {
    let fields = request.fields.map { "[\(quoted($0.name)),\(quoted($0.value))]" }
    return "{\"service\":\(quoted(name)),\"method\":\(quoted(request.method)),"
      + "\"target\":\(quoted(request.target)),\"version\":\(quoted(request.version)),"
      + "\"fields\":[\(fields.joined(separator: ","))],\"bodyBytes\":\(request.bodyLength)}\n"
  }

  private func quoted(_ text: String) -> String {
    var out = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\":
        out += "\\\(scalar)"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default:
        out.unicodeScalars.append(scalar)
      }
    }
    return out + "\""
  }
}
