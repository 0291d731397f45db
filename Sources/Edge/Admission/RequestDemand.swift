internal import HTTPCodec
internal import Units

/// How much a request matters and until when an answer is of use.
struct RequestDemand: BitwiseCopyable {
  /// The place of its class, retries lowered already.
  var priority: UInt8
  /// The end of the exchange: the route's time-out, or the caller's where that is shorter.
  var deadline: Instant
  /// A stranger's word made the deadline: when it passes, that says nothing about the service.
  var isStrangers = false
  /// Somebody before us has tried it already: its repeats are theirs.
  var isRetry = false
  /// The caller's own time for a call of gRPC, which may last longer than ours; `.never` without.
  var callDeadline = Instant.never
}

extension RequestDemand {
  /// Reads what the caller says.
  ///
  /// - Parameters:
  ///   - view: The request; a trusted peer's word about its class and time counts.
  ///   - route: What holds without a word of the caller.
  ///   - names: The classes.
  ///   - now: The time of this turn.
  init(
    _ view: RequestView,
    _ route: UnsafePointer<CompiledRoute>,
    _ names: ClassNames,
    now: Instant
  ) {
    var place = Int(route.pointee.classPlace)
    deadline = view.isEndless ? .never : now + route.pointee.timeout
    var isBackground = false
    var isNamed = false
    priority = 0
    for index in 0..<Int(view.head.fieldCount) where view.fields[index].known == .other {
      let field = view.fields[index]
      guard
        let kind = DemandField.find(
          view.bytes + Int(field.nameStart),
          Int(field.nameLength),
          names
        )
      else { continue }
      let value = view.bytes + Int(field.valueStart)
      let count = Int(field.valueLength)
      switch kind {
      case .criticality:
        guard view.isTrusted, names.isBelieved else { break }
        let named = names.place(value, count)
        if named >= 0 { (place, isNamed) = (named, true) }
      case .priority: isBackground = DemandField.urgency(value, count) == Self.background
      // A caller that owns up to a retry is believed: it can only lower itself.
      case .attemptCount: isRetry = isRetry || (DemandField.number(value, count) ?? 0) > 1
      case .previousAttempts: isRetry = isRetry || (DemandField.number(value, count) ?? 0) > 0
      case .callTimeout:
        guard let time = DemandField.callTimeout(value, count) else { break }
        callDeadline = now + Nanoseconds(time)
        shorten(to: callDeadline, isStrangers: !view.isTrusted)
      case .expectedTimeout, .requestTimeout:
        guard view.isTrusted, let time = DemandField.number(value, count) else { break }
        shorten(to: now + .milliseconds(time), isStrangers: false)
      }
    }
    // Who says that it is background work is believed, too, unless a class is named.
    if isBackground, !isNamed { place += 1 }
    priority = UInt8(clamping: min(isRetry ? place + 1 : place, names.count - 1))
  }

  /// The urgency of "background tasks such as delivery of software updates" (RFC 9218 section 4.1).
  private static let background = 7

  private mutating func shorten(to instant: Instant, isStrangers: Bool) {
    guard instant < deadline else { return }
    deadline = instant
    self.isStrangers = isStrangers
  }
}

/// Writes to the service what its caller wants, with the time that is left.
///
/// The numbers stand in places of a fixed width, right-aligned: a request that waits is told anew how
/// much is left once it is sent, without moving a byte.
enum DemandFields {
  private static let width = 6
  private static let callWidth = 8

  static func write(
    _ demand: RequestDemand,
    _ names: ClassNames,
    now: Instant,
    _ layout: inout UpstreamHead.Layout,
    into writer: inout ByteWriter
  ) {
    let name = names.name(Int(demand.priority))
    writer.bytes(names.field.start, names.field.count)
    writer.text(": ")
    writer.bytes(name.start, name.count)
    if demand.deadline != .never {
      writer.text("\r\nx-envoy-expected-rq-timeout-ms: ")
      layout.deadlineStart = writer.count
      writer.aligned(left(demand.deadline, now), width: width)
    }
    if demand.callDeadline != .never {
      writer.text("\r\ngrpc-timeout: ")
      layout.callTimeStart = writer.count
      writer.aligned(left(demand.callDeadline, now), width: callWidth)
      writer.text("m")
    }
    writer.crlf()
  }

  /// Writes the time that is left now into a head that was written before.
  static func refresh(
    _ bytes: UnsafeMutablePointer<UInt8>,
    _ exchange: UnsafeMutablePointer<Exchange>,
    now: Instant
  ) {
    func put(_ start: UInt16, _ deadline: Instant, _ width: Int) {
      guard start > 0 else { return }
      var writer = ByteWriter(bytes + Int(start), capacity: width)
      writer.aligned(left(deadline, now), width: width)
    }
    put(exchange.pointee.deadlineStart, exchange.pointee.deadline, width)
    put(exchange.pointee.callTimeStart, exchange.pointee.callDeadline, callWidth)
  }

  /// Whole milliseconds, at least one: none would mean "without bound" to some.
  private static func left(_ deadline: Instant, _ now: Instant) -> UInt64 {
    UInt64(max(1, (deadline - now).rawValue / 1_000_000))
  }
}
