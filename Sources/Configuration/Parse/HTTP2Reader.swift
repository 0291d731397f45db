internal import Units

/// Reads how a listener speaks HTTP/2.
enum HTTP2Reader {
  private static let known = [
    "maximumStreams", "window", "connectionWindow", "resetsPerSecond", "resetBurst",
    "settingsTimeout", "pingInterval", "pingTimeout", "budgets",
  ]
  private static let burst = 1...1_000_000
  private static let rate = 0...1_000_000

  static func read(_ field: Field) -> HTTP2Setting {
    var http2 = HTTP2Setting()
    let fields = field.map(known)
    let wait = Nanoseconds.milliseconds(10)...Nanoseconds.seconds(86_400)
    if let field = fields["maximumStreams"] { http2.maximumStreams = field.number(1...1_000) }
    // Below 65,535 a client would have begun before it knows (RFC 9113 section 6.9.2).
    if let field = fields["window"] { http2.window = field.size(65_535...1 << 24) }
    if let field = fields["connectionWindow"] {
      http2.connectionWindow = field.size(65_535...1 << 30)
    }
    if http2.connectionWindow < http2.window {
      (fields["connectionWindow"] ?? fields["window"] ?? field).fault(
        "a connection's window of \(http2.connectionWindow) bytes must not be smaller than that of "
          + "one stream, \(http2.window) bytes"
      )
    }
    if let field = fields["resetsPerSecond"] { http2.resets.perSecond = field.number(rate) }
    if let field = fields["resetBurst"] { http2.resets.burst = field.number(burst) }
    if let field = fields["settingsTimeout"] { http2.settingsTimeout = field.duration(wait) }
    if let field = fields["pingInterval"] { http2.pingInterval = field.duration(wait) }
    if let field = fields["pingTimeout"] { http2.pingTimeout = field.duration(wait) }
    if let field = fields["budgets"] { budgets(field, &http2) }
    return http2
  }

  private static func budgets(_ field: Field, _ http2: inout HTTP2Setting) {
    let all = HTTP2Setting.budgets
    let fields = field.map(all.map(\.name))
    for (name, path) in all {
      guard let parts = fields[name]?.map(["burst", "perSecond"]) else { continue }
      if let field = parts["burst"] { http2[keyPath: path].burst = field.number(burst) }
      if let field = parts["perSecond"] { http2[keyPath: path].perSecond = field.number(rate) }
    }
  }
}
