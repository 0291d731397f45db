internal import CNghttp2

/// Field lines for nghttp2, in its own form so that none has to be turned around.
struct H2LineTable: BitwiseCopyable {
  /// Lines of the longest head, pseudo-header fields and what a proxy adds included.
  static let capacity = HeadLimits.mostFields + 64

  /// The lines, behind one place that `:status` takes.
  let pairs: UnsafeMutablePointer<nghttp2_nv>
  /// Three digits of `:status`.
  let status: UnsafeMutablePointer<UInt8>

  init() {
    pairs = .allocate(capacity: Self.capacity + 1)
    status = .allocate(capacity: 3)
  }

  func deallocate() {
    pairs.deallocate()
    status.deallocate()
  }
}
