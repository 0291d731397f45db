internal import HTTPCodec

/// Where a body stands: how its end is found, and how much has come.
struct BodyReader: BitwiseCopyable {
  enum State: UInt8, BitwiseCopyable {
    case data
    /// The last chunk came; trailers follow.
    case trailers
    case complete
  }

  var framing: BodyFraming
  var state: State
  /// Bytes left, for a body of known length.
  var left: Int64
  /// Bytes of content so far.
  var seen: Int64
  /// Most bytes of content; what is announced is judged before.
  var bound: Int64
  var decoder: ChunkedDecoder

  /// - Parameters:
  ///   - framing: How the end is found.
  ///   - length: Bytes, where the framing is `length`.
  @inline(__always)
  init(_ framing: BodyFraming, length: Int64) {
    self.framing = framing
    left = length
    seen = 0
    bound = .max
    state = framing == .none || (framing == .length && length == 0) ? .complete : .data
    decoder = ChunkedDecoder(maximumExtensionBytes: Self.maximumExtensionBytes)
  }

  /// Chunk extensions mean nothing to anybody we know of; this many bytes of them are skipped.
  static let maximumExtensionBytes = 256

  var isComplete: Bool { state == .complete }
}
