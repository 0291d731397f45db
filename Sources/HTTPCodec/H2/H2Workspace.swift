internal import Units

/// What the sessions of one worker share: streams, events, and the heads that just arrived.
///
/// Events and heads live from one `receive` to the next, of whichever session, so the worker drains
/// them in between and an idle session holds none of this. Nothing here is allocated after `init`,
/// but for what nghttp2 keeps of each session, up to a bound.
/// A workspace and its sessions belong to one thread.
public final class H2Workspace {
  /// Memory of nghttp2 that the sessions of one workspace may take by default, in bytes.
  ///
  /// A session takes 29 KB, most of it room for one frame: enough for 37,000 of them.
  public static let defaultMemory = 1 << 30

  let memory: UnsafeMutablePointer<H2Memory>
  let native: UnsafeMutablePointer<NativeMemory>
  let setup = NativeSetup()

  /// - Parameters:
  ///   - streams: Streams that all sessions together may have open; more are refused.
  ///   - bytes: Memory of nghttp2 that they may take. At the bound sessions do not begin, and those
  ///     that need more fail as `broken`.
  public init(streams: Int, memory bytes: Int = H2Workspace.defaultMemory) {
    memory = .allocate(capacity: 1)
    memory.initialize(to: H2Memory(streams: streams))
    native = .allocate(capacity: 1)
    native.initialize(to: NativeMemory(bound: bytes))
  }

  deinit {
    memory.deinitialize(count: 1)
    memory.deallocate()
    native.deinitialize(count: 1)
    native.deallocate()
  }

  /// Bytes that nghttp2 has for the sessions there are.
  public var memoryInUse: Int { native.pointee.inUse }

  /// Bytes taken from the system for that, those for later use included.
  public var memoryHeld: Int { native.pointee.held }

  /// Times that nghttp2 was told that memory is out.
  public var memoryRefusals: UInt64 { native.pointee.refusals }

  /// Streams that are open, or closed and not yet asked for.
  public var streamCount: Int { memory.pointee.streams.count }

  /// The head of a `request` event.
  public func request(_ event: H2Event) -> H2RequestHead {
    memory.pointee.requests[Int(event.start)]
  }

  /// The head of a `response` or `interim` event.
  public func response(_ event: H2Event) -> H2ResponseHead {
    memory.pointee.responses[Int(event.start)]
  }

  /// The section of a `trailers` event.
  public func trailers(_ event: H2Event) -> H2Trailers {
    memory.pointee.trailers[Int(event.start)]
  }
}

/// The memory of a workspace.
///
/// Everything that grows while bytes are read stops the reading at a mark below its end: what one
/// header field can still add behind the mark is in the capacity.
struct H2Memory: ~Copyable {
  /// Bytes given to nghttp2 at once, a block; each frame has 9 and makes at most 2 events.
  static let mostBytes = 16_384
  private static let eventCapacity = 4_096
  /// Heads of one reading; each has at least one field, and reading stops behind a field.
  private static let headMark = 512
  private static let headCapacity = headMark + 1
  private static let byteMark = 65_536
  /// Sections without fields do not stop the reading, but are two bytes each.
  private static let byteCapacity = byteMark + H2FieldBlock.room + 2 * mostBytes / 9
  private static let fieldMark = 4_096
  private static let fieldCapacity = fieldMark + HeadLimits.mostFields + 8

  var streams: Slab<H2Stream>
  let requests: UnsafeMutablePointer<H2RequestHead>
  let responses: UnsafeMutablePointer<H2ResponseHead>
  let trailers: UnsafeMutablePointer<H2Trailers>
  /// The head that is arriving, of the session that is receiving.
  var building: H2Building
  /// Lines to be sent, between `H2FieldList` and the submission.
  let lines: H2LineTable
  private let events: UnsafeMutablePointer<H2Event>
  private let bytes: UnsafeMutablePointer<UInt8>
  private let fields: UnsafeMutablePointer<HeadField>
  /// Whose events these are.
  private(set) var owner: UnsafeMutablePointer<H2State>?
  private(set) var eventCount = 0
  private var eventsTaken = 0
  private var headCount = 0
  private var byteCount = 0
  private var fieldCount = 0
  /// Whether a head under way stopped the reading.
  private(set) var isStopped = false

  init(streams count: Int) {
    streams = Slab(capacity: count)
    requests = .allocate(capacity: Self.headCapacity)
    responses = .allocate(capacity: Self.headCapacity)
    trailers = .allocate(capacity: Self.headCapacity)
    lines = H2LineTable()
    events = .allocate(capacity: Self.eventCapacity)
    bytes = .allocate(capacity: Self.byteCapacity)
    fields = .allocate(capacity: Self.fieldCapacity)
    building = H2Building(H2FieldBlock(bytes: bytes, fields: fields))
  }

  deinit {
    requests.deallocate()
    responses.deallocate()
    trailers.deallocate()
    lines.deallocate()
    events.deallocate()
    bytes.deallocate()
    fields.deallocate()
  }

  /// Whether every event was taken.
  var isDrained: Bool { eventsTaken == eventCount }

  /// Forgets events and heads, for `owner` to fill them in.
  mutating func reset(for owner: UnsafeMutablePointer<H2State>?) {
    self.owner = owner
    eventCount = 0
    eventsTaken = 0
    headCount = 0
    byteCount = 0
    fieldCount = 0
    isStopped = false
  }

  // MARK: - Events

  mutating func append(_ event: H2Event) {
    // Cannot be full: see `mostBytes`. A lost event would be a lost stream, so this is checked.
    precondition(eventCount < Self.eventCapacity, "more events than bytes")
    events[eventCount] = event
    eventCount &+= 1
  }

  mutating func take() -> H2Event? {
    guard eventsTaken < eventCount else { return nil }
    eventsTaken &+= 1
    return events[eventsTaken &- 1]
  }

  /// The last event, if it is body of the stream.
  func lastData(of stream: Int32) -> UnsafeMutablePointer<H2Event>? {
    guard eventCount > 0 else { return nil }
    let last = events + (eventCount &- 1)
    return last.pointee.kind == .data && last.pointee.stream == stream ? last : nil
  }

  // MARK: - Heads

  /// Where the next head is laid out.
  var block: H2FieldBlock { H2FieldBlock(bytes: bytes + byteCount, fields: fields + fieldCount) }

  /// Whether reading is to stop with the head under way.
  mutating func stopsBuilding() -> Bool {
    switch building.kind {
    case .none, .refused: false
    case .request:
      stops(atBytes: building.request.block.count, fields: building.request.block.fieldCount)
    case .response:
      stops(atBytes: building.response.block.count, fields: building.response.block.fieldCount)
    case .trailers:
      stops(atBytes: building.trailers.block.count, fields: building.trailers.block.fieldCount)
    }
  }

  private mutating func stops(atBytes bytes: Int, fields: Int) -> Bool {
    isStopped =
      byteCount &+ bytes > Self.byteMark || fieldCount &+ fields > Self.fieldMark
      || headCount >= Self.headMark
    return isStopped
  }

  /// Keeps what `block` holds until the next `reset`.
  ///
  /// - Returns: A place in the arrays of heads, or -1 when there is none.
  mutating func keep(_ block: H2FieldBlock) -> Int32 {
    guard headCount < Self.headCapacity else { return -1 }
    byteCount &+= block.count
    fieldCount &+= block.fieldCount
    headCount &+= 1
    return Int32(truncatingIfNeeded: headCount &- 1)
  }
}
