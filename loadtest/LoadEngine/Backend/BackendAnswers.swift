internal import LoadKit
internal import Reactor

/// Answers of the simulated service, written once.
struct BackendAnswers {
  enum Kind { case served, refused, failed, slow }

  /// The same for HTTP/2: bodies by route, the last one for requests of none.
  private let bodies: [RepeatedBody]
  private let messages: [RepeatedBody]
  private let short = RepeatedBody(filler: 9)
  private let slow = RepeatedBody(filler: Int(BackendAnswers.pieces))
  private let nothing = RepeatedBody(filler: 0)
  private let served: [SharedBytes]
  private let servedClosing: [SharedBytes]
  private let refused: SharedBytes
  private let refusedClosing: SharedBytes
  private let failed: SharedBytes
  private let failedClosing: SharedBytes
  let goOn: SharedBytes
  /// Of the paths of the routes.
  let prefixes: [[UInt8]]
  /// A slow answer's head, closing; then pieces of one byte each.
  let slowHead: SharedBytes
  let slowPiece: SharedBytes
  /// Pieces of a slow body.
  static let pieces: Int32 = 20

  init(_ settings: ServiceSettings, pool: BlockPool) throws(EngineError) {
    let sizes = settings.routes.map { $0.answerSize ?? settings.answerSize }
    bodies = (sizes + [settings.answerSize]).map { RepeatedBody(filler: $0) }
    messages = (sizes + [settings.answerSize]).map { RepeatedBody(message: $0) }
    var served: [SharedBytes] = []
    var closing: [SharedBytes] = []
    for size in settings.routes.map({ $0.answerSize ?? settings.answerSize })
      + [settings.answerSize]
    {
      served.append(try Self.make("200 OK", size: size, closes: false, pool))
      closing.append(try Self.make("200 OK", size: size, closes: true, pool))
    }
    self.served = served
    servedClosing = closing
    refused = try Self.make("503 Service Unavailable", size: 9, closes: false, pool)
    refusedClosing = try Self.make("503 Service Unavailable", size: 9, closes: true, pool)
    failed = try Self.make("500 Internal Server Error", size: 9, closes: false, pool)
    failedClosing = try Self.make("500 Internal Server Error", size: 9, closes: true, pool)
    goOn = try SharedBytes(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8), filler: 0, pool: pool)
    prefixes = settings.routes.map { Array($0.pathPrefix.utf8) }
    let head = Self.head("200 OK", size: Int(Self.pieces), closes: true)
    slowHead = try SharedBytes(head, filler: 0, pool: pool)
    slowPiece = try SharedBytes([], filler: 1, pool: pool)
  }

  func find(_ kind: Kind, route: Int, keepsAlive: Bool) -> SharedBytes {
    switch kind {
    case .served:
      let place = route >= 0 ? route : served.count - 1
      return keepsAlive ? served[place] : servedClosing[place]
    case .refused: return keepsAlive ? refused : refusedClosing
    case .failed: return keepsAlive ? failed : failedClosing
    case .slow: return slowHead
    }
  }

  /// What a stream's answer has as its body; a refused call of gRPC has none.
  func body(_ kind: Kind, route: Int, isGRPC: Bool) -> RepeatedBody {
    let place = route >= 0 ? route : bodies.count - 1
    switch kind {
    case .served: return isGRPC ? messages[place] : bodies[place]
    case .refused, .failed: return isGRPC ? nothing : short
    case .slow: return slow
    }
  }

  private static func make(
    _ status: String,
    size: Int,
    closes: Bool,
    _ pool: BlockPool
  ) throws(EngineError) -> SharedBytes {
    try SharedBytes(head(status, size: size, closes: closes), filler: size, pool: pool)
  }

  static func head(_ status: String, size: Int, closes: Bool, type: String = "text/plain")
    -> [UInt8]
  {
    Array(
      ("HTTP/1.1 \(status)\r\nserver: loadtest-backend\r\ncontent-type: \(type)\r\n"
        + "content-length: \(size)\r\n" + (closes ? "connection: close\r\n" : "") + "\r\n").utf8
    )
  }
}
