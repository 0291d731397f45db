internal import Configuration
internal import Units

/// What is sent, and what is expected.
extension ScenarioReader {
  /// Bytes of one request body.
  private static let largestBody = 64 << 20
  /// Header fields of one kind, and bytes of one request head.
  private static let maximumHeaders = 64
  static let largestHead = 16_384

  func readKinds(_ field: Field, areClassesListed: Bool, into scenario: inout Scenario) {
    let items = field.list()
    if items.isEmpty { field.fault("needs at least one kind") }
    if items.count > Scenario.maximumKinds {
      field.fault("there are \(items.count); at most \(Scenario.maximumKinds) are possible")
    }
    for (index, item) in items.prefix(Scenario.maximumKinds).enumerated() {
      let kind = kind(item, index, areClassesListed, &scenario.classes)
      if scenario.kinds.contains(where: { $0.name == kind.name }) {
        item.fault("the name \(kind.name) is taken; names tell kinds apart")
      }
      scenario.kinds.append(kind)
    }
    if !scenario.kinds.isEmpty, scenario.kinds.allSatisfy({ $0.weight == 0 }) {
      field.fault("needs a kind with a weight above 0")
    }
  }

  private func kind(
    _ field: Field,
    _ index: Int,
    _ areClassesListed: Bool,
    _ classes: inout [String]
  ) -> RequestKind {
    var kind = RequestKind(name: "kind-\(index + 1)")
    let fields = field.map([
      "name", "class", "weight", "method", "path", "headers", "body", "deadline", "timeout",
      "retries", "grpc", "slow",
    ])
    if let field = fields["name"] { kind.name = field.name() }
    if let field = fields["class"] {
      kind.priority = priority(field, areClassesListed, &classes)
    } else if areClassesListed {
      field.fault("needs class, one of \(classes.joined(separator: ", "))")
    } else {
      kind.priority = place(of: "all", in: &classes) ?? 0
    }
    if let field = fields["weight"] { kind.weight = weight(field) }
    if let field = fields["method"] {
      kind.method = field.text()
      if !RequestText.isToken(kind.method) || kind.method == "CONNECT" {
        field.fault("must be a method such as GET")
      }
    }
    if let field = fields["path"] {
      kind.path = field.text()
      if !kind.path.hasPrefix("/") || !RequestText.isTarget(kind.path) {
        field.fault("must begin with / and hold visible ASCII only; write others as %XX")
      }
    }
    if let field = fields["headers"] { kind.headers = headers(field) }
    if let field = fields["body"] { kind.bodySize = field.size(0...Self.largestBody) }
    let range = Nanoseconds.milliseconds(1)...Nanoseconds.seconds(3_600)
    if let field = fields["deadline"] { kind.deadline = field.duration(range) }
    kind.timeout = kind.deadline
    if let field = fields["timeout"] {
      kind.timeout = field.duration(range)
      if kind.timeout < kind.deadline {
        field.fault("is shorter than the deadline, \(Quantity.text(kind.deadline))")
      }
    }
    if let field = fields["retries"] { kind.retries = retries(field) }
    if let field = fields["grpc"] {
      kind.isGRPC = field.choice(Flag.self) == .yes
      if kind.isGRPC {
        if let method = fields["method"], kind.method != "POST" {
          method.fault("must be POST for a call of gRPC")
        }
        kind.method = "POST"
      }
    }
    if let field = fields["slow"] { kind.pace = pace(field) }
    return kind
  }

  private enum Flag: String, CaseIterable {
    case yes = "true"
    case no = "false"
  }

  private func pace(_ field: Field) -> SlowPace {
    var pace = SlowPace()
    let fields = field.map(["send", "pause"])
    if let field = fields["send"] { pace.sending = field.duration(.zero...(.seconds(600))) }
    if let field = fields["pause"] { pace.pause = field.duration(.zero...(.seconds(60))) }
    if fields["send"] == nil, fields["pause"] == nil {
      field.fault("needs send, over which the request is sent, or pause, before each further read")
    }
    return pace
  }

  /// gRPC needs trailers, which are HTTP/2's here.
  func judgeCalls(_ field: Field?, _ scenario: Scenario) {
    guard scenario.wireProtocol == .http1 else { return }
    for kind in scenario.kinds where kind.isGRPC {
      field?.fault("\(kind.name) is a call of gRPC, which needs protocol: h2")
    }
  }

  private func priority(
    _ field: Field,
    _ areClassesListed: Bool,
    _ classes: inout [String]
  ) -> Int {
    let name = field.name()
    if let place = classes.firstIndex(of: name) { return place }
    if areClassesListed {
      let near = Spelling.nearest(name, in: classes).map { "; did you mean \($0)?" } ?? ""
      field.fault("\(name) is not in classes\(near)")
      return 0
    }
    if Expectation.reserved.contains(name) { field.fault("\(name) has another meaning in expect") }
    guard let place = place(of: name, in: &classes) else {
      field.fault("is one class too many; at most \(Scenario.maximumClasses) are possible")
      return 0
    }
    return place
  }

  private func place(of name: String, in classes: inout [String]) -> Int? {
    if let place = classes.firstIndex(of: name) { return place }
    guard classes.count < Scenario.maximumClasses else { return nil }
    classes.append(name)
    return classes.count - 1
  }

  private func headers(_ field: Field) -> [RequestKind.Header] {
    var headers: [RequestKind.Header] = []
    var bytes = 0
    for (name, value) in field.entries() {
      let text = value.text()
      bytes += name.utf8.count + text.utf8.count + 4
      if !RequestText.isToken(name) { value.fault("\(name) is no header name") }
      if !RequestText.isValue(text) { value.fault("must be visible ASCII and inner blanks") }
      if ["content-length", "transfer-encoding", "connection"].contains(name.lowercased()) {
        value.fault("is written by the harness; remove it")
      }
      headers.append(RequestKind.Header(name: name, value: text))
    }
    if headers.count > Self.maximumHeaders || bytes > Self.largestHead / 2 {
      field.fault("are more than \(Self.maximumHeaders) or \(Self.largestHead / 2) bytes")
    }
    return headers
  }

  private func retries(_ field: Field) -> RetryBehaviour {
    var retries = RetryBehaviour()
    let fields = field.map(["attempts", "backoff", "attemptTimeout", "on"])
    if let field = fields["attempts"] { retries.attempts = field.number(1...10) }
    if let field = fields["backoff"] {
      retries.backoff = field.duration(.zero...(.seconds(60)))
    }
    if let field = fields["attemptTimeout"] {
      retries.attemptTimeout = field.duration(.milliseconds(1)...(.seconds(3_600)))
    }
    if let field = fields["on"] {
      retries.causes = Set(field.list().compactMap { $0.choice(RetryBehaviour.Cause.self) })
    }
    return retries
  }

  func readExpectations(_ field: Field, into scenario: inout Scenario) {
    for item in field.list() {
      guard item.isScalar else {
        item.fault("must be text, such as goodput >= 97 % of capacity")
        continue
      }
      do {
        scenario.expectations.append(
          try Expectation(
            item.text(),
            classes: scenario.classes,
            phases: scenario.phases.map(\.name),
            hasUnloaded: scenario.unloaded != nil
          )
        )
      } catch {
        item.fault(error.message, at: error.offset)
      }
    }
  }
}

/// What may stand in a request (RFC 9110 section 5.6.2, RFC 9112 section 3.2).
enum RequestText {
  static func isToken(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.count <= 128
      && text.utf8.allSatisfy { byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
      }
  }

  static func isTarget(_ text: String) -> Bool {
    text.utf8.count <= 4_096 && text.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != 0x23 }
  }

  static func isValue(_ text: String) -> Bool {
    text.utf8.allSatisfy { (0x20...0x7E).contains($0) } && text.first != " " && text.last != " "
  }
}
