/// Replies that the edge gives by itself, written out once per configuration.
///
/// A reply is four runs of bytes around three holes, the request's id, what depends on the
/// connection and the number of Retry-After, so that answering costs copies and no formatting. Bodies are RFC 9457 problem
/// documents; routes that answer by themselves bring their own.
final class PreparedReplies: @unchecked Sendable {
  /// One reply: fields before the id, body before the id, body behind it.
  struct Reply: BitwiseCopyable {
    var status: UInt16
    /// The body is the same for every request: no id in it.
    var isPlain: Bool
    var head: Run
    var bodyStart: Run
    var bodyEnd: Run
    /// Where in the head the number of Retry-After stands, or -1, and its width.
    var retryAfter: Int32 = -1
    var retryWidth: Int32 = 1
    var retryUnit = RetryUnit.digit

    /// Bytes of its body where the request's id has so many.
    func bodyLength(_ identifierLength: Int) -> Int {
      Int(bodyStart.count + bodyEnd.count) + (isPlain ? 0 : identifierLength)
    }
  }

  /// What the number of Retry-After counts, or of gRPC's pushback.
  enum RetryUnit: UInt8, BitwiseCopyable {
    /// A few seconds, of which one digit is drawn.
    case digit
    /// What admission estimates, aligned to the right in the width of its place.
    case seconds
    case milliseconds
  }

  struct Run: BitwiseCopyable {
    var offset: Int32
    var count: Int32
  }

  /// What Retry-After asks for, in seconds, each as likely as the others.
  ///
  /// Clients that were refused together shall not come back together. One digit fits its place.
  static let retrySeconds: ClosedRange<UInt8> = 1...3

  // Immutable after init, which is what makes it sendable.
  let memory: UnsafeMutablePointer<UInt8>
  private let replies: UnsafeMutablePointer<Reply>
  private let classCount: Int
  private let answerCount: Int

  /// - Parameters:
  ///   - classes: The names of the priority classes.
  ///   - configVersion: Stands in each problem body.
  ///   - answers: The answers of routes, in the order of `CompiledRoute.answer`.
  init(classes: [String], configVersion: Int, answers: [RouteAnswer]) {
    var bytes: [UInt8] = []
    var table: [Reply] = []
    func run(_ text: String) -> Run {
      let start = bytes.count
      bytes += Array(text.utf8)
      return Run(offset: Int32(start), count: Int32(bytes.count - start))
    }
    classCount = classes.count + 1
    answerCount = answers.count
    for reason in ReplyReason.allCases {
      let wording = reason.wording
      var head = "HTTP/1.1 \(wording.status) \(ReasonPhrase.text(wording.status))\r\n"
      head += "content-type: application/problem+json\r\ncache-control: no-store\r\n"
      if let error = wording.proxyError { head += "proxy-status: spillway; error=\(error)\r\n" }
      var retryAfter: Int32 = -1
      if wording.status == 503 {
        head += "retry-after: "
        retryAfter = Int32(head.utf8.count)
        head += (reason.statesRetry ? " " : "") + "\(Self.retrySeconds.lowerBound)\r\n"
      }
      let headRun = run(head)
      for name in [nil] + classes.map(Optional.some) {
        let quoted = name.map { "\"\($0)\"" } ?? "null"
        let start =
          "{\"type\":\"urn:spillway:problem:\(wording.token)\",\"title\":\"\(wording.title)\","
          + "\"status\":\(wording.status),\"detail\":\"\(wording.detail)\","
          + "\"reason\":\"\(wording.token)\",\"class\":\(quoted),\"configVersion\":\(configVersion),"
          + "\"requestId\":\""
        table.append(
          Reply(
            status: wording.status,
            isPlain: false,
            head: headRun,
            bodyStart: run(start),
            bodyEnd: run("\"}\n"),
            retryAfter: retryAfter,
            retryWidth: reason.statesRetry ? 2 : 1,
            retryUnit: reason.statesRetry ? .seconds : .digit
          )
        )
      }
    }
    for answer in answers {
      var head = "HTTP/1.1 \(answer.status) \(ReasonPhrase.text(UInt16(answer.status)))\r\n"
      for (name, value) in answer.fields { head += "\(name): \(value)\r\n" }
      table.append(
        Reply(
          status: UInt16(answer.status),
          isPlain: true,
          head: run(head),
          bodyStart: run(answer.body),
          bodyEnd: run("")
        )
      )
    }
    for reason in ReplyReason.allCases {
      var head = "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\n"
      head += "grpc-status: \(reason.grpcStatus)\r\ngrpc-message: \(reason.wording.token)\r\n"
      var retryAfter: Int32 = -1
      if reason.wording.status == 503 {
        head += "grpc-retry-pushback-ms: "
        retryAfter = Int32(head.utf8.count)
        head += (reason.statesRetry ? " " : "") + "\(Self.retrySeconds.lowerBound)000\r\n"
      }
      table.append(
        Reply(
          status: reason.wording.status,
          isPlain: true,
          head: run(head),
          bodyStart: run(""),
          bodyEnd: run(""),
          retryAfter: retryAfter,
          retryWidth: reason.statesRetry ? 5 : 1,
          retryUnit: reason.statesRetry ? .milliseconds : .digit
        )
      )
    }
    memory = .allocate(capacity: max(1, bytes.count))
    memory.initialize(from: bytes, count: bytes.count)
    replies = .allocate(capacity: table.count)
    replies.initialize(from: table, count: table.count)
  }

  deinit {
    memory.deallocate()
    replies.deallocate()
  }

  /// `className`: The class's place, highest first, or -1 before a route is known.
  func problem(_ reason: ReplyReason, className: Int) -> Reply {
    replies[Int(reason.rawValue) * classCount + className + 1]
  }

  /// The same for a call of gRPC: no body, and the status that its clients look at ("trailers-only").
  ///
  /// `status` is the one that is counted; over the wire it is 200.
  func call(_ reason: ReplyReason) -> Reply {
    replies[ReplyReason.allCases.count * classCount + answerCount + Int(reason.rawValue)]
  }

  func answer(_ index: Int32) -> Reply {
    replies[ReplyReason.allCases.count * classCount + Int(index)]
  }
}

/// What a route answers by itself.
struct RouteAnswer {
  var status: Int
  var fields: [(String, String)]
  var body: String
}

/// Reason phrases of RFC 9110 section 15 and the registry.
enum ReasonPhrase {
  static func text(_ status: UInt16) -> String {
    let known: [UInt16: String] = [
      200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 301: "Moved Permanently",
      302: "Found", 303: "See Other", 304: "Not Modified", 307: "Temporary Redirect",
      308: "Permanent Redirect", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
      404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout", 409: "Conflict",
      410: "Gone", 413: "Content Too Large", 414: "URI Too Long", 415: "Unsupported Media Type",
      418: "Unused", 421: "Misdirected Request", 422: "Unprocessable Content",
      425: "Too Early", 428: "Precondition Required", 429: "Too Many Requests",
      431: "Request Header Fields Too Large", 451: "Unavailable For Legal Reasons",
      500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway",
      503: "Service Unavailable", 504: "Gateway Timeout", 505: "HTTP Version Not Supported",
    ]
    return known[status] ?? "Status \(status)"
  }
}
