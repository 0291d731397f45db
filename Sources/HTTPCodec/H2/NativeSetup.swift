internal import CNghttp2

/// What nghttp2 copies into each session it makes: made once for the sessions of a worker.
struct NativeSetup: ~Copyable {
  private let option: OpaquePointer?
  private let callbacks: OpaquePointer?

  init() {
    var option: OpaquePointer?
    var callbacks: OpaquePointer?
    self.option = nghttp2_option_new(&option) == 0 ? option : nil
    self.callbacks = nghttp2_session_callbacks_new(&callbacks) == 0 ? callbacks : nil
    if let option = self.option { Self.set(option) }
    if let callbacks = self.callbacks { NativeCallbacks.set(callbacks) }
  }

  deinit {
    // Both take NULL.
    nghttp2_option_del(option)
    nghttp2_session_callbacks_del(callbacks)
  }

  /// What the next session is made with, or `nil` where there was no memory for it.
  func parts(for settings: H2Settings) -> (option: OpaquePointer, callbacks: OpaquePointer)? {
    guard let option, let callbacks else { return nil }
    nghttp2_option_set_max_outbound_ack(option, settings.maximumQueued)
    nghttp2_option_set_max_continuations(option, settings.maximumContinuations)
    return (option, callbacks)
  }

  private static func set(_ option: OpaquePointer) {
    // Windows open as the other side takes what came.
    nghttp2_option_set_no_auto_window_update(option, 1)
    // Messages are judged by our builders, which name the fault; judging twice costs as much again.
    nghttp2_option_set_no_http_messaging(option, 1)
    nghttp2_option_set_no_closed_streams(option, 1)
    nghttp2_option_set_max_settings(option, 32)
    // Our budget counts resets; nghttp2's reads the clock.
    nghttp2_option_set_stream_reset_rate_limit(option, UInt64(Int64.max), 0)
    nghttp2_option_set_peer_max_concurrent_streams(option, 100)
    // PRIORITY_UPDATE is read by us: nghttp2 1.52 keeps a stream that it opened for one in its list
    // of idle streams and frees it twice (fixed in 1.61 as "Decrement num_idle_streams").
    nghttp2_option_set_user_recv_extension_type(option, NativeCallbacks.priorityUpdate)
  }
}
