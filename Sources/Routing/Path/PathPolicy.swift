/// What to do with spellings of a path that servers read differently.
public struct PathPolicy: Hashable, Sendable {
  public enum RepeatedSlashes: String, CaseIterable, Hashable, Sendable {
    /// `//` becomes `/`, as nginx and most file servers read it.
    case merge
    case keep
    case refuse
  }

  public enum EncodedSlash: String, CaseIterable, Hashable, Sendable {
    /// Whether `%2F` separates segments is for each server to say, so by default it is not asked.
    case refuse
    /// `%2F` stays, as data within a segment; beside a dot segment it is refused all the same.
    case keep
  }

  public var repeatedSlashes: RepeatedSlashes
  public var encodedSlash: EncodedSlash

  @inlinable
  public init(repeatedSlashes: RepeatedSlashes = .merge, encodedSlash: EncodedSlash = .refuse) {
    self.repeatedSlashes = repeatedSlashes
    self.encodedSlash = encodedSlash
  }
}

/// Why a path is refused.
public enum PathFault: UInt8, CaseIterable, Error, Sendable {
  case notAbsolute
  case tooLong
  case badEscape
  case controlCharacter
  case encodedControlCharacter
  case encodedSlash
  case backslash
  case invalidCharacter
  case nonASCII
  case overlongEncoding
  case repeatedSlash
  case aboveRoot
  case disguisedDotSegment

  /// The reason in kebab-case, for metrics and problem documents.
  public var reason: StaticString {
    switch self {
    case .notAbsolute: "path-not-absolute"
    case .tooLong: "path-too-long"
    case .badEscape: "path-bad-escape"
    case .controlCharacter: "path-control-character"
    case .encodedControlCharacter: "path-encoded-control-character"
    case .encodedSlash: "path-encoded-slash"
    case .backslash: "path-backslash"
    case .invalidCharacter: "path-invalid-character"
    case .nonASCII: "path-non-ascii"
    case .overlongEncoding: "path-overlong-encoding"
    case .repeatedSlash: "path-repeated-slash"
    case .aboveRoot: "path-above-root"
    case .disguisedDotSegment: "path-disguised-dot-segment"
    }
  }
}

/// What became of a path.
public enum PathOutcome: Equatable, Sendable {
  /// It was normal already; nothing useful was written.
  case unchanged
  /// So many bytes were written.
  case rewritten(Int)
  case refused(PathFault)
}
