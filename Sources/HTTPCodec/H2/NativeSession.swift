internal import CNghttp2

/// nghttp2's session: every call of it, so that its pointers and codes stay in here and in
/// `NativeCallbacks`.
///
/// Data goes out with `NGHTTP2_DATA_FLAG_NO_COPY`: the payload is copied once, from what the caller
/// lends into the block that is sent, instead of twice through nghttp2's own buffer. Sending from
/// the lender's memory itself would tie its block to the socket for what a copy in cache costs,
/// and TLS would copy anyway.
struct NativeSession: BitwiseCopyable {
  private let session: OpaquePointer

  /// What the library says when it cannot go on.
  enum Trouble: Error {
    /// The preface is not HTTP/2's.
    case notHTTP2
    /// Too many acknowledgements wait for a peer that does not read.
    case flooded
    case tooManyContinuations
    /// Out of memory, or a mistake of ours.
    case broken
  }

  init?(
    isServer: Bool,
    _ settings: H2Settings,
    state: UnsafeMutablePointer<H2State>,
    setup: borrowing NativeSetup,
    memory: UnsafeMutablePointer<NativeMemory>
  ) {
    guard let (option, callbacks) = setup.parts(for: settings) else { return nil }
    var session: OpaquePointer?
    var hooks = NativeMemory.hooks(memory)
    let result =
      isServer
      ? nghttp2_session_server_new3(&session, callbacks, state, option, &hooks)
      : nghttp2_session_client_new3(&session, callbacks, state, option, &hooks)
    guard result == 0, let session else { return nil }
    self.session = session
    guard submit(settings, isServer: isServer) else {
      nghttp2_session_del(session)
      return nil
    }
  }

  /// Frees the session; no callback comes from it.
  func destroy() { nghttp2_session_del(session) }

  private func submit(_ settings: H2Settings, isServer: Bool) -> Bool {
    let none = nghttp2_settings_entry(settings_id: 0, value: 0)
    var entries = InlineArray<5, nghttp2_settings_entry>(repeating: none)
    var count = 0
    func add(_ name: nghttp2_settings_id, _ value: Int) {
      entries[count] = nghttp2_settings_entry(
        settings_id: Int32(name.rawValue),
        value: UInt32(value)
      )
      count += 1
    }
    if isServer {
      add(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, settings.maximumStreams)
      // RFC 9218 instead of the dependency tree, whose upkeep peers can make dear.
      add(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1)
      if settings.allowsExtendedConnect { add(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1) }
    } else {
      add(NGHTTP2_SETTINGS_ENABLE_PUSH, 0)
    }
    add(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, settings.streamWindow)
    add(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, settings.limits.maximumBytes)
    let window = Int32(settings.connectionWindow)
    let isSubmitted = withUnsafeBytes(of: &entries) { bytes in
      let entries = bytes.baseAddress?.assumingMemoryBound(to: nghttp2_settings_entry.self)
      return nghttp2_submit_settings(session, Self.noFlags, entries, count) == 0
    }
    return isSubmitted
      && nghttp2_session_set_local_window_size(session, Self.noFlags, 0, window) == 0
  }

  // MARK: - Bytes

  /// Takes bytes in; callbacks come from inside.
  ///
  /// - Returns: How many were taken; fewer when a callback paused.
  func receive(_ bytes: UnsafePointer<UInt8>, _ count: Int) throws(Trouble) -> Int {
    let taken = nghttp2_session_mem_recv(session, bytes, count)
    if taken >= 0 { return taken }
    switch Int32(truncatingIfNeeded: taken) {
    case NGHTTP2_ERR_BAD_CLIENT_MAGIC.rawValue: throw .notHTTP2
    case NGHTTP2_ERR_FLOODED.rawValue: throw .flooded
    case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS.rawValue: throw .tooManyContinuations
    default: throw .broken
    }
  }

  /// Gives bytes out; callbacks come from inside, and data goes to them.
  ///
  /// - Returns: Bytes that stay where they are until the next call, or none.
  func send() throws(Trouble) -> UnsafeBufferPointer<UInt8> {
    var bytes: UnsafePointer<UInt8>?
    let count = nghttp2_session_mem_send(session, &bytes)
    if count < 0 { throw .broken }
    return UnsafeBufferPointer(start: bytes, count: count)
  }

  var wantsRead: Bool { nghttp2_session_want_read(session) != 0 }
  var wantsWrite: Bool { nghttp2_session_want_write(session) != 0 }
  /// Frames that wait, data not among them.
  var queued: Int { nghttp2_session_get_outbound_queue_size(session) }

  // MARK: - Streams

  /// The index attached to a stream, or -1.
  func index(of id: Int32) -> Int32 {
    let attached = nghttp2_session_get_stream_user_data(session, id)
    return Int32(truncatingIfNeeded: Int(bitPattern: attached)) &- 1
  }

  func attach(_ index: Int32, to id: Int32) -> Bool {
    nghttp2_session_set_stream_user_data(session, id, Self.pointer(index)) == 0
  }

  /// The index plus one in place of a pointer, so that nothing has to be looked after.
  private static func pointer(_ index: Int32) -> UnsafeMutableRawPointer? {
    UnsafeMutableRawPointer(bitPattern: Int(index) &+ 1)
  }

  /// Sends the head of a new request.
  ///
  /// - Returns: The stream's number, or -1.
  func request(_ fields: borrowing H2FieldList, index: Int32, hasBody: Bool) -> Int32 {
    var provider = NativeCallbacks.provider(index)
    let id = withUnsafePointer(to: &provider) {
      nghttp2_submit_request(
        session,
        nil,
        fields.pairs,
        fields.count,
        hasBody ? $0 : nil,
        Self.pointer(index)
      )
    }
    return id > 0 ? id : -1
  }

  /// Sends the final head of a response.
  func respond(
    _ id: Int32,
    status: Int,
    _ fields: borrowing H2FieldList,
    index: Int32,
    hasBody: Bool
  ) -> Bool {
    var provider = NativeCallbacks.provider(index)
    let lines = fields.pairs(status: status)
    return withUnsafePointer(to: &provider) {
      nghttp2_submit_response(session, id, lines, fields.count + 1, hasBody ? $0 : nil) == 0
    }
  }

  /// Sends the head of an interim response.
  func inform(_ id: Int32, status: Int, _ fields: borrowing H2FieldList) -> Bool {
    nghttp2_submit_headers(
      session,
      Self.noFlags,
      id,
      nil,
      fields.pairs(status: status),
      fields.count + 1,
      nil
    ) == 0
  }

  /// Sends trailers; the body must have been given out with its end.
  func finish(_ id: Int32, _ trailers: borrowing H2FieldList) -> Bool {
    nghttp2_submit_trailer(session, id, trailers.pairs, trailers.count) == 0
  }

  /// Has the library ask for data again; it may have no need to, which is no fault.
  func resume(_ id: Int32) -> Bool {
    let result = nghttp2_session_resume_data(session, id)
    return result == 0 || result == NGHTTP2_ERR_INVALID_ARGUMENT.rawValue
  }

  func reset(_ id: Int32, _ code: H2ErrorCode) -> Bool {
    nghttp2_submit_rst_stream(session, Self.noFlags, id, code.rawValue) == 0
  }

  /// Opens the windows of the stream, if it is there still, and of the connection.
  func consume(_ id: Int32, _ count: Int) -> Bool {
    nghttp2_session_consume(session, id, count) == 0
  }

  /// Opens the window of the connection only.
  func consume(_ count: Int) -> Bool { nghttp2_session_consume_connection(session, count) == 0 }

  /// Bytes that the peer's windows for the stream and the connection have room for.
  func window(_ id: Int32) -> Int {
    Int(
      min(
        nghttp2_session_get_remote_window_size(session),
        nghttp2_session_get_stream_remote_window_size(session, id)
      )
    )
  }

  func prioritise(_ id: Int32, _ priority: H2Priority) -> Bool {
    var value = nghttp2_extpri(
      urgency: UInt32(priority.urgency),
      inc: priority.isIncremental ? 1 : 0
    )
    let result = nghttp2_session_change_extpri_stream_priority(session, id, &value, 0)
    return result == 0 || result == NGHTTP2_ERR_INVALID_ARGUMENT.rawValue
  }

  // MARK: - The connection

  func ping(_ number: UInt64) -> Bool {
    withUnsafeBytes(of: number.bigEndian) {
      nghttp2_submit_ping(
        session,
        Self.noFlags,
        $0.baseAddress?.assumingMemoryBound(to: UInt8.self)
      ) == 0
    }
  }

  /// The first step: GOAWAY that excludes no stream yet.
  func announceShutdown() -> Bool { nghttp2_submit_shutdown_notice(session) == 0 }

  /// The second step: GOAWAY with the last stream that was taken.
  func shutDown(_ code: H2ErrorCode) -> Bool {
    nghttp2_submit_goaway(session, Self.noFlags, lastStream, code.rawValue, nil, 0) == 0
  }

  /// Tells the peer how many streams it may have open.
  func allowStreams(_ count: Int) -> Bool {
    var entry = nghttp2_settings_entry(
      settings_id: Int32(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue),
      value: UInt32(count)
    )
    return nghttp2_submit_settings(session, Self.noFlags, &entry, 1) == 0
  }

  /// The last stream of the peer that was handed on.
  var lastStream: Int32 { nghttp2_session_get_last_proc_stream_id(session) }

  /// Streams that the peer lets us have open at once.
  var peerMaximumStreams: Int {
    Int(
      nghttp2_session_get_remote_settings(session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
    )
  }

  /// Whether the peer takes extended CONNECT (RFC 8441 section 3).
  var peerAllowsExtendedConnect: Bool {
    nghttp2_session_get_remote_settings(session, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1
  }

  /// Whether GOAWAY and the stream numbers left allow another request.
  var allowsRequest: Bool { nghttp2_session_check_request_allowed(session) != 0 }

  private static let noFlags = UInt8(NGHTTP2_FLAG_NONE.rawValue)
}
