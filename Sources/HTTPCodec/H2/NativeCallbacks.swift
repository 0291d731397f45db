internal import CNghttp2

/// What nghttp2 calls, turned into calls of `H2State`.
///
/// The context is the state's address, which the session keeps in place. None of these ends the
/// session from inside: nghttp2 1.52 asserts where it does not expect that.
enum NativeCallbacks {
  /// The frame type of RFC 9218 section 7.1.
  static let priorityUpdate: UInt8 = 0x10

  static func set(_ callbacks: OpaquePointer) {
    setHeads(callbacks)
    setFrames(callbacks)
    setOutput(callbacks)
  }

  private static func setHeads(_ callbacks: OpaquePointer) {
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { _, frame, context in
      guard let frame else { return 0 }
      let id = frame.pointee.hd.stream_id
      let isFirst = frame.pointee.headers.cat == NGHTTP2_HCAT_REQUEST
      return state(context).pointee.beginHead(id, isRequest: isFirst) ? 0 : reject
    }
    nghttp2_session_callbacks_set_on_header_callback(callbacks) {
      _,
      _,
      name,
      nameLength,
      value,
      valueLength,
      flags,
      context in
      guard let name, let value else { return 0 }
      let isSensitive = flags & UInt8(NGHTTP2_NV_FLAG_NO_INDEX.rawValue) != 0
      switch state(context).pointee.addField(
        name,
        nameLength,
        value,
        valueLength,
        isSensitive: isSensitive
      ) {
      case .proceed: return 0
      case .pause: return pause
      case .abort: return NGHTTP2_ERR_CALLBACK_FAILURE.rawValue
      }
    }
  }

  private static func setFrames(_ callbacks: OpaquePointer) {
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks) { _, header, context in
      guard let header, UInt32(header.pointee.type) == NGHTTP2_SETTINGS.rawValue else { return 0 }
      state(context).pointee.markQueue()
      return 0
    }
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) {
      _,
      _,
      id,
      bytes,
      count,
      context in
      guard let bytes else { return 0 }
      state(context).pointee.addData(id, bytes, count)
      return 0
    }
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, context in
      if let frame { NativeCallbacks.receive(frame, state(context)) }
      return 0
    }
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, id, code, context in
      state(context).pointee.close(id, H2ErrorCode(rawValue: code))
      return 0
    }
    nghttp2_session_callbacks_set_on_extension_chunk_recv_callback(callbacks) {
      _,
      _,
      bytes,
      count,
      context in
      if let bytes { state(context).pointee.addPriorityUpdate(bytes, count) }
      return 0
    }
    nghttp2_session_callbacks_set_unpack_extension_callback(callbacks) { _, _, _, context in
      state(context).pointee.applyPriorityUpdate()
      return 0
    }
  }

  fileprivate static func receive(
    _ frame: UnsafePointer<nghttp2_frame>,
    _ state: UnsafeMutablePointer<H2State>
  ) {
    let id = frame.pointee.hd.stream_id
    let isFlagged = frame.pointee.hd.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
    switch UInt32(frame.pointee.hd.type) {
    case NGHTTP2_HEADERS.rawValue: state.pointee.endHead(endsStream: isFlagged)
    case NGHTTP2_DATA.rawValue: if isFlagged { state.pointee.endData(id) }
    case NGHTTP2_RST_STREAM.rawValue: state.pointee.noteReset(id)
    // END_STREAM and ACK are the same bit.
    case NGHTTP2_SETTINGS.rawValue: state.pointee.noteSettings(isAcknowledgement: isFlagged)
    case NGHTTP2_PING.rawValue:
      guard isFlagged else { return }
      let bytes = frame.pointee.ping.opaque_data
      let number = withUnsafeBytes(of: bytes) { $0.loadUnaligned(as: UInt64.self) }
      state.pointee.notePong(UInt64(bigEndian: number))
    case NGHTTP2_GOAWAY.rawValue:
      state.pointee.noteGoAway(
        last: frame.pointee.goaway.last_stream_id,
        H2ErrorCode(rawValue: frame.pointee.goaway.error_code)
      )
    default: break
    }
  }

  // MARK: - Output

  private static func setOutput(_ callbacks: OpaquePointer) {
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks) { _, frame, context in
      guard let frame else { return 0 }
      let id = frame.pointee.hd.stream_id
      let ends = frame.pointee.hd.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
      switch UInt32(frame.pointee.hd.type) {
      case NGHTTP2_HEADERS.rawValue:
        state(context).pointee.noteStarted(id)
        if ends { state(context).pointee.noteSent(id) }
      case NGHTTP2_DATA.rawValue:
        state(context).pointee.noteData(frame.pointee.hd.length)
        if ends { state(context).pointee.noteSent(id) }
      case NGHTTP2_RST_STREAM.rawValue: state(context).pointee.noteOwnReset(id)
      case NGHTTP2_GOAWAY.rawValue:
        state(context).pointee.noteOwnGoAway(
          H2ErrorCode(rawValue: frame.pointee.goaway.error_code)
        )
      default: break
      }
      return 0
    }
    nghttp2_session_callbacks_set_send_data_callback(callbacks) {
      _,
      _,
      header,
      count,
      source,
      context in
      guard let header, let source else { return reject }
      let isWritten = state(context).pointee.writeData(
        source.pointee.fd,
        header: header,
        count: count
      )
      return isWritten ? 0 : NGHTTP2_ERR_WOULDBLOCK.rawValue
    }
  }

  /// The source of a stream's body; the stream's index takes the place of a descriptor.
  static func provider(_ index: Int32) -> nghttp2_data_provider {
    nghttp2_data_provider(source: nghttp2_data_source(fd: index)) {
      _,
      _,
      _,
      most,
      flags,
      source,
      context in
      guard let source, let flags else { return Int(reject) }
      switch state(context).pointee.readData(source.pointee.fd, most: most) {
      case .some(let count, let end):
        flags.pointee |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue
        switch end {
        case .none: break
        case .stream: flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue
        case .body:
          flags.pointee |=
            NGHTTP2_DATA_FLAG_EOF.rawValue | NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
        }
        return count
      case .later: return Int(NGHTTP2_ERR_DEFERRED.rawValue)
      case .full: return Int(NGHTTP2_ERR_PAUSE.rawValue)
      }
    }
  }
}

// Free functions, as a closure for C must not capture the type either.

private var pause: Int32 { NGHTTP2_ERR_PAUSE.rawValue }
private var reject: Int32 { NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue }

@inline(__always)
private func state(_ context: UnsafeMutableRawPointer?) -> UnsafeMutablePointer<H2State> {
  guard let context else { fatalError("nghttp2 lost its context") }
  return context.assumingMemoryBound(to: H2State.self)
}
